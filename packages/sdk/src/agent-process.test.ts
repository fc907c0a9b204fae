import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type AgentCall, type AgentSurroundings, acceptRepositoryPath, runAgent } from './agent-process.ts';
import { DependencyError } from './durable/errors.ts';

const schema = z.preprocess(acceptRepositoryPath, z.object({ target: z.string().min(1) }));

async function run(
  given: { variable?: string; argument?: string; stdin?: string; action?: string },
  handler: (input: { target: string }, call: AgentCall) => unknown = (input) => input,
) {
  const seen = { stdout: '', stderr: '', status: -1 };
  const surroundings: AgentSurroundings = {
    environment: { AGENT_INPUT: given.variable, HIVE_ACTION: given.action },
    commandLine: ['node', 'index.ts', ...(given.argument === undefined ? [] : [given.argument])],
    readStdin: async () => given.stdin ?? '',
    writeStdout: async (text) => void (seen.stdout += text),
    writeStderr: async (text) => void (seen.stderr += text),
    exit: (status) => void (seen.status = status),
  };
  await runAgent(schema, handler, surroundings);
  return seen;
}

describe('runAgent', () => {
  it('prefers AGENT_INPUT to the argument and the argument to stdin', async () => {
    const inputs = { variable: '{"target":"a"}', argument: '{"target":"b"}', stdin: '{"target":"c"}' };
    expect((await run(inputs)).stdout).toBe('{"target":"a"}\n');
    expect((await run({ ...inputs, variable: '' })).stdout).toBe('{"target":"b"}\n');
    expect((await run({ stdin: inputs.stdin })).stdout).toBe('{"target":"c"}\n');
  });

  it('tells the handler which action the node named, if it did', async () => {
    const told = async (action?: string) =>
      (await run({ stdin: '{"target":"a"}', ...(action !== undefined && { action }) }, (_, call) => call)).stdout;
    expect([await told('look'), await told(''), await told()]).toEqual(['{"action":"look"}\n', '{}\n', '{}\n']);
  });

  it('prints one line of JSON and exits 0', async () => {
    expect(await run({ stdin: '{"target":"a"}' }, () => ({ text: 'two\nlines' }))).toEqual({
      stdout: '{"text":"two\\nlines"}\n',
      stderr: '',
      status: 0,
    });
  });

  it.each([
    ['no input', '', 'no input'],
    ['text that is not JSON', '{target', 'not a JSON document'],
    ['a field of the wrong type', '{"target":3}', 'target: '],
  ])('answers %s with an error on stderr and exit 1', async (_, stdin, message) => {
    const seen = await run({ stdin });
    expect(seen).toMatchObject({ stdout: '', status: 1 });
    expect(JSON.parse(seen.stderr).error).toContain(message);
  });

  it('answers a handler that throws with its message', async () => {
    const seen = await run({ stdin: '{"target":"a"}' }, () => {
      throw new TypeError('no such path');
    });
    expect(seen).toEqual({ stdout: '', stderr: '{"error":"no such path"}\n', status: 1 });
  });

  it('names the dependency that a handler blames', async () => {
    const seen = await run({ stdin: '{"target":"a"}' }, () => {
      throw new DependencyError('github-api', '502');
    });
    expect(JSON.parse(seen.stderr)).toEqual({ error: '502', dependency: 'github-api' });
  });

  it('takes repositoryPath for target, and target where both are given', async () => {
    expect((await run({ stdin: '{"repositoryPath":"r"}' })).stdout).toBe('{"target":"r"}\n');
    expect((await run({ stdin: '{"repositoryPath":"r","target":"t"}' })).stdout).toBe('{"target":"t"}\n');
  });
});
