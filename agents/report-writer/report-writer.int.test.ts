import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentManifestSchema } from '@hivekeeper/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import manifest from './agent.json' with { type: 'json' };

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'report-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const review = {
  verdict: 'critical',
  findings: [{ id: 'a', source: 'security', rule: 'xss', severity: 'critical', file: 'é.ts', message: 'm' }],
};
const run = (input?: unknown) =>
  spawnSync(process.execPath, ['index.ts'], {
    cwd: import.meta.dirname,
    env: input === undefined ? {} : { AGENT_INPUT: typeof input === 'string' ? input : JSON.stringify(input) },
    input: '',
    encoding: 'utf8',
  });

describe('the report writer as a process', () => {
  it('has a manifest that the platform accepts', () => {
    expect(agentManifestSchema.parse(manifest)).toMatchObject({ name: 'report-writer', network: false });
  });

  it('writes both files into a directory that it makes, and says what it wrote', () => {
    const outputDirectory = join(directory, 'deep/out');
    const { status, stdout } = run({ review, repositoryPath: '/not/there/shop', outputDirectory });
    expect(status).toBe(0);
    const output = JSON.parse(stdout);
    expect(output).toMatchObject({
      markdownPath: join(outputDirectory, 'report.md'),
      htmlPath: join(outputDirectory, 'report.html'),
      findingCount: 1,
    });
    expect(readdirSync(outputDirectory).sort()).toEqual(['report.html', 'report.md']);
    expect(output.bytesWritten).toBe(readFileSync(output.markdownPath).length + readFileSync(output.htmlPath).length);
    expect(readFileSync(output.htmlPath, 'utf8')).toContain('<h1>Review of shop</h1>');
  });

  it('replaces an older report', () => {
    writeFileSync(join(directory, 'report.md'), 'old');
    run({ review, outputDirectory: directory });
    expect(readFileSync(join(directory, 'report.md'), 'utf8')).toMatch(/^# Review\n/);
  });

  it('does not write through a symbolic link', () => {
    writeFileSync(join(directory, 'other'), 'kept');
    symlinkSync('other', join(directory, 'report.html'));
    const { status, stderr } = run({ review, outputDirectory: directory });
    expect(status).toBe(1);
    expect(JSON.parse(stderr).error).toMatch(/symbolic link/);
    expect(readFileSync(join(directory, 'other'), 'utf8')).toBe('kept');
  });

  it.each([
    ['no input', undefined, /no input/],
    ['what is not JSON', '{', /not a JSON document/],
    ['no output directory', { review }, /outputDirectory/],
    ['a review without findings', { review: { verdict: 'clean' }, outputDirectory: '/tmp' }, /review\.findings/],
    ['an output directory that is a file', { review, outputDirectory: join(import.meta.dirname, 'agent.json') }, /EEXIST|ENOTDIR/],
  ])('ends with status 1 and a reason for %s', (_name, input, reason) => {
    const { status, stdout, stderr } = run(input);
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(JSON.parse(stderr).error).toMatch(reason);
  });
});
