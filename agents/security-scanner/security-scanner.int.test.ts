import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { agentManifestSchema } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import type { ScanOutput } from './scan.ts';

interface Planted {
  defects: { agent: string; type: string; file: string; line: number }[];
  cleanFiles: string[];
}

const entry = fileURLToPath(new URL('index.ts', import.meta.url));
const target = fileURLToPath(new URL('../../tests/e2e/fixtures/planted', import.meta.url));
const { defects, cleanFiles } = JSON.parse(readFileSync(`${target}/planted.json`, 'utf8')) as Planted;
const planted = defects.filter(({ agent }) => agent === 'security-scanner');

const run = (input: object, environment: NodeJS.ProcessEnv = {}): ScanOutput =>
  JSON.parse(
    execFileSync(process.execPath, [entry, JSON.stringify(input)], {
      encoding: 'utf8',
      env: { ...process.env, AGENT_INPUT: '', ...environment },
    }),
  );
const placesOf = (findings: readonly { type: string; file: string; line: number }[]) =>
  findings.map(({ type, file, line }) => `${type} ${file}:${line}`).sort();

describe('the security scanner as a process', () => {
  it('finds every planted defect, and nothing in the clean files', () => {
    const { findings, summary, scannedFiles, scanDurationMs } = run({ target });
    expect(placesOf(findings)).toEqual(placesOf(planted));
    expect(findings.filter(({ file }) => cleanFiles.includes(file))).toEqual([]);
    expect(summary).toEqual({ total: 6, critical: 1, high: 5, medium: 0, low: 0 });
    expect(findings[0]?.severity).toBe('critical');
    expect(scannedFiles).toBeGreaterThan(cleanFiles.length);
    expect(scanDurationMs).toBeGreaterThanOrEqual(0);
  });

  it('shows no planted secret anywhere in its answer', () => {
    const answer = JSON.stringify(run({ target }));
    for (const path of ['src/config.js', 'scripts/settings.py']) {
      const [, secret = ''] = /(AKIA\w+|Pl4nted[^"]+)/.exec(readFileSync(`${target}/${path}`, 'utf8')) ?? [];
      expect(secret.length).toBeGreaterThan(10);
      expect(answer).not.toContain(secret);
    }
  });

  it.each(['secrets', 'sql-injection', 'xss', 'dependencies'])('gives only %s where only those are asked for', (scanType) => {
    expect(placesOf(run({ target, scanType }).findings)).toEqual(placesOf(planted.filter(({ type }) => type === scanType)));
  });

  it('leaves out what is less severe than asked for', () => {
    expect(placesOf(run({ repositoryPath: target, severity: 'critical' }).findings)).toEqual(['secrets src/config.js:4']);
  });

  it('reads AGENT_INPUT before its argument', () => {
    const { scannedFiles } = run({ target: '/nowhere' }, { AGENT_INPUT: JSON.stringify({ target: `${target}/clean` }) });
    expect(scannedFiles).toBe(7);
  });

  it.each([
    ['no input', '', 'no input'],
    ['no target', '{}', 'target'],
    ['an unknown scan type', `{"target":"${target}","scanType":"luck"}`, 'scanType'],
    ['a path that is not there', '{"target":"/no/such/place"}', '/no/such/place'],
  ])('answers %s with an error and exit 1', (_, input, message) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [entry], {
      encoding: 'utf8',
      input,
      env: { ...process.env, AGENT_INPUT: '' },
    });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(JSON.parse(stderr).error).toContain(message);
  });
});

it('has a manifest that the platform accepts', () => {
  const manifest = agentManifestSchema.parse(JSON.parse(readFileSync(new URL('agent.json', import.meta.url), 'utf8')));
  expect(manifest).toMatchObject({ name: 'security-scanner', runtime: 'node', network: false, capabilities: [{ name: 'scan' }] });
});
