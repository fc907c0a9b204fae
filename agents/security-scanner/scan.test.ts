import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scan } from './scan.ts';

const secret = ['AKIA', 'Q3EGRLZ7PFXW2M4T'].join('');

let root: string;
beforeEach(() => void (root = mkdtempSync(join(tmpdir(), 'scan-'))));
afterEach(() => rmSync(root, { recursive: true }));

async function scanOf(files: Record<string, string>) {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return scan({ target: root, scanType: 'all' });
}

describe('scan', () => {
  it('puts the worst first and counts by severity', async () => {
    const { findings, summary } = await scanOf({ 'a.ts': 'createHash("md5")', 'b.ts': 'eval(input)', 'c.ts': `"${secret}"` });
    expect(findings.map(({ severity, file, line }) => `${severity} ${file}:${line}`)).toEqual([
      'critical c.ts:1',
      'high b.ts:1',
      'medium a.ts:1',
    ]);
    expect(summary).toEqual({ total: 3, critical: 1, high: 1, medium: 1, low: 0 });
  });

  it('says what it could not look at, and looks into names that hold a line break', async () => {
    await scanOf({ 'shut/bad.js': 'eval(input)', 'a\nb.js': 'eval(input)' });
    for (const [path, mode] of [
      [root, 0o755],
      [join(root, 'shut'), 0],
    ] as const)
      chmodSync(path, mode);
    const isRoot = process.getuid?.() === 0;
    // Permissions do not bind root.
    if (isRoot) process.seteuid?.(65_534);
    const { findings, summary, skipped } = await scan({ target: root, scanType: 'all' });
    if (isRoot) process.seteuid?.(0);
    chmodSync(join(root, 'shut'), 0o755);
    expect(findings.map(({ file }) => file)).toEqual(['a\nb.js']);
    expect([summary.skipped, skipped]).toEqual([1, [{ path: 'shut/', reason: 'it may not be read' }]]);
  });

  it('hides a secret also where another finding shows its line', async () => {
    const { findings } = await scanOf({ 'a.ts': `eval(input + "${secret}")` });
    expect(findings.map(({ type, code }) => `${type} ${code}`)).toEqual([
      'secrets eval(input + "[redacted]")',
      'code-injection eval(input + "[redacted]")',
    ]);
  });

  it('shows no code of a line that is too long to read', async () => {
    const { findings } = await scanOf({ 'a.ts': `${'x(); '.repeat(200)}load("${secret}")` });
    expect(findings).toMatchObject([{ type: 'secrets', line: 1 }]);
    expect(findings[0]).not.toHaveProperty('code');
  });

  it('reports what fails twice on a line once', async () => {
    expect((await scanOf({ 'a.ts': 'eval(a); eval(b);\neval(c);' })).findings.map(({ line }) => line)).toEqual([1, 2]);
  });

  it('reads neither installed nor generated files, and judges no code in tests', async () => {
    const { findings, scannedFiles } = await scanOf({
      'node_modules/x/index.js': 'eval(input)',
      'app.min.js': 'eval(input)',
      'a.test.ts': 'eval(input)',
      'b.ts': 'run()',
    });
    expect({ findings, scannedFiles }).toEqual({ findings: [], scannedFiles: 2 });
  });
});
