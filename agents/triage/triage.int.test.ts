import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { agentManifestSchema, workflowDefinitionSchema } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import manifest from './agent.json' with { type: 'json' };

const run = (input?: string) =>
  spawnSync(process.execPath, ['index.ts'], {
    cwd: import.meta.dirname,
    env: input === undefined ? {} : { AGENT_INPUT: input },
    input: '',
    encoding: 'utf8',
  });

describe('triage as a process', () => {
  it('has a manifest that the platform accepts', () => {
    expect(agentManifestSchema.parse(manifest)).toMatchObject({ name: 'triage', network: false, grants: [] });
  });

  it('answers with one JSON document', () => {
    const { status, stdout } = run('{"security":{"findings":[],"scannedFiles":0},"review":null}');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ verdict: 'attention', findings: [], summary: { total: 0 } });
  });

  it.each([
    ['no input', undefined, /no input/],
    ['what is not JSON', 'hello', /not a JSON document/],
    ['nothing to triage', '{}', /nothing to triage/],
    ['a scanner’s output without its list', '{"review":{}}', /review\.issues/],
  ])('ends with status 1 and a reason for %s', (_name, input, reason) => {
    const { status, stdout, stderr } = run(input);
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(JSON.parse(stderr).error).toMatch(reason);
  });
});

describe('the workflow repo-review', () => {
  const workflowsDirectory = join(import.meta.dirname, '../../workflows');
  const workflow = workflowDefinitionSchema.parse(parse(readFileSync(join(workflowsDirectory, 'repo-review.yaml'), 'utf8')));

  it('runs the scanners side by side, then triage, then the report, and fails with any of them', () => {
    expect(workflow.nodes.map(({ id, needs }) => [id, needs])).toEqual([
      ['security', []],
      ['review', []],
      ['compliance', []],
      ['triage', ['security', 'review', 'compliance']],
      ['report', ['triage']],
    ]);
    expect(new Set(workflow.nodes.map(({ onFailure }) => onFailure))).toEqual(new Set(['fail']));
  });

  it('names only capabilities and input fields that the shipped agents have', () => {
    for (const { agent = '', action, input } of workflow.nodes) {
      const agentManifest = agentManifestSchema.parse(
        JSON.parse(readFileSync(join(import.meta.dirname, '..', agent, 'agent.json'), 'utf8')),
      );
      const capability = agentManifest.capabilities.find(({ name }) => name === action);
      expect(capability, `${agent}/${action}`).toBeDefined();
      expect(Object.keys(capability?.inputSchema?.['properties'] ?? {}), agent).toEqual(expect.arrayContaining(Object.keys(input)));
    }
  });
});
