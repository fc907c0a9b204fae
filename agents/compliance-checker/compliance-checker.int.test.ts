import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { agentManifestSchema } from '@hivekeeper/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import manifest from './agent.json' with { type: 'json' };

let target: string;

beforeEach(() => {
  target = mkdtempSync(join(tmpdir(), 'compliance-'));
});
afterEach(() => rmSync(target, { recursive: true }));

const run = (input?: string) =>
  spawnSync(process.execPath, ['index.ts'], {
    cwd: import.meta.dirname,
    env: input === undefined ? {} : { AGENT_INPUT: input },
    input: '',
    encoding: 'utf8',
  });

describe('the compliance checker as a process', () => {
  it('has a manifest that the platform accepts', () => {
    expect(agentManifestSchema.parse(manifest)).toMatchObject({ name: 'compliance-checker', network: false });
  });

  it('answers with one JSON document and status 0 also where the repository does not pass', () => {
    const { status, stdout, stderr } = run(JSON.stringify({ repositoryPath: target, strictMode: true }));
    expect(status).toBe(0);
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toMatchObject({ summary: { total: 1, passed: false }, violations: [{ rule: 'license-file-missing' }] });
  });

  it.each([
    ['no input', undefined, /no input/],
    ['what is not JSON', '{', /not a JSON document/],
    ['a scope it does not know', '{"target":"/","scope":"taxes"}', /scope/],
    ['a target that is not there', '{"target":"/does/not/exist"}', /\/does\/not\/exist/],
  ])('ends with status 1 and a reason for %s', (_name, input, reason) => {
    const { status, stdout, stderr } = run(input);
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(JSON.parse(stderr).error).toMatch(reason);
  });
});
