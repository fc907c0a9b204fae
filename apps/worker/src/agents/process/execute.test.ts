import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type JsonValue, type LeasedTicket, leasedTicketSchema } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CommandResult, Runner } from '../../sandbox/process/index.ts';
import { newExecutor } from '../attempt/index.ts';
import { newProcessKind } from './execute.ts';

let directory: string;
beforeAll(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'hive-execute-')));
  writeFileSync(join(directory, 'index.ts'), '');
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const ulid = '01JD0000000000000000000000';
function ticketOf(agent: object = {}, changes: Partial<LeasedTicket> = {}): LeasedTicket {
  const spec = { name: 'one', version: '1.0.0', directory, trust: 'trusted', ...agent };
  const ticket = {
    ticketId: `tkt_${ulid}.1`,
    token: '1.1',
    runId: `run_${ulid}`,
    nodeId: 'n',
    slot: 0,
    attempt: 1,
    agent: spec,
    input: {},
    timeoutMs: 1_000,
    leaseMs: 1_000,
  };
  return { ...leasedTicketSchema.parse(ticket), ...changes };
}

/** A runner that prints the given lines to stderr and gives the given result. */
function scripted(
  name: string,
  result: Partial<CommandResult> & { readonly lines?: readonly string[] } = {},
): Runner & { readonly runCount: () => number } {
  let runCount = 0;
  const { lines = [], ...end } = result;
  return {
    confines: name === 'sandbox',
    runCount: () => runCount,
    run: async (_, { onStderrLine }) => {
      runCount += 1;
      for (const line of lines) onStderrLine?.(line);
      return { kind: 'exited', exitCode: 0, stdout: Buffer.from(JSON.stringify(name)), stderrTail: '', ...end } as CommandResult;
    },
  };
}

async function execute(
  ticket: LeasedTicket,
  {
    sandbox,
    plain = scripted('plain'),
    protectedDirectories = [],
  }: { readonly sandbox?: Runner; readonly plain?: Runner; readonly protectedDirectories?: readonly string[] } = {},
) {
  const progress: JsonValue[] = [];
  const executor = newExecutor({
    process: newProcessKind({
      runtimes: { node: { file: '/usr/bin/node', paths: [] } },
      workspace: { roots: [directory], protectedDirectories, isSealed: () => false },
      environment: {},
      ...(sandbox !== undefined && { sandbox }),
      plain,
    }),
  });
  const execution = await executor(ticket, {
    signal: new AbortController().signal,
    onProgress: (value) => progress.push(value),
    socket: { directory: '/tmp/socket', path: '/tmp/socket/hive.sock' },
    log: newLog({ level: 'silent', component: 'test' }),
  });
  return { ...execution, progress };
}

describe('executing a ticket', () => {
  it('without a sandbox gives nobody a directory to write that something is hidden in', async () => {
    const ticket = ticketOf({ grants: [{ field: 'there', access: 'write' }] }, { input: { there: directory } });
    const protectedDirectories = [join(directory, 'data')];
    expect(await execute(ticket, { protectedDirectories })).toMatchObject({ outcome: { ok: false, error: { code: 'PATH_NOT_ALLOWED' } } });
    expect(await execute(ticket, { protectedDirectories, sandbox: scripted('sandbox') })).toMatchObject({ outcome: { ok: true } });
  });

  it('confines every agent where there is a sandbox', async () => {
    for (const trust of ['trusted', 'untrusted']) {
      expect(await execute(ticketOf({ trust }), { sandbox: scripted('sandbox') })).toMatchObject({
        kind: 'finished',
        outcome: { ok: true, output: 'sandbox' },
      });
    }
  });

  it('runs a trusted agent plainly where there is none, and refuses any other', async () => {
    const plain = scripted('plain');
    expect(await execute(ticketOf({ trust: 'trusted' }), { plain })).toMatchObject({ outcome: { ok: true, output: 'plain' } });
    expect(await execute(ticketOf({ trust: 'untrusted' }), { plain })).toMatchObject({
      outcome: { ok: false, error: { code: 'SANDBOX_UNAVAILABLE' } },
    });
    expect(plain.runCount()).toBe(1);
  });

  it('refuses, before it starts anything, an action that the agent does not have, and an input that breaks its schema', async () => {
    const sandbox = scripted('sandbox');
    const agent = { capabilities: [{ name: 'scan', inputSchema: { type: 'object', required: ['target'] } }] };
    expect(await execute(ticketOf(agent, { action: 'scam' }), { sandbox })).toMatchObject({
      outcome: { error: { code: 'AGENT_UNKNOWN_ACTION', message: expect.stringContaining('it has scan') } },
    });
    expect(await execute(ticketOf(agent, { action: 'scan' }), { sandbox })).toMatchObject({
      outcome: { error: { code: 'AGENT_INPUT_SCHEMA', message: expect.stringContaining("'target'") } },
    });
    expect(sandbox.runCount()).toBe(0);
    expect(await execute(ticketOf(agent, { action: 'scan', input: { target: '/x' } }), { sandbox })).toMatchObject({
      outcome: { ok: true },
    });
  });

  it('checks the output against the schema of the action', async () => {
    const agent = { capabilities: [{ name: 'scan', outputSchema: { type: 'number' } }] };
    expect(await execute(ticketOf(agent, { action: 'scan' }), { sandbox: scripted('sandbox') })).toMatchObject({
      outcome: { error: { code: 'AGENT_OUTPUT_SCHEMA' } },
    });
    expect(await execute(ticketOf(agent), { sandbox: scripted('sandbox') })).toMatchObject({ outcome: { ok: true } });
  });

  it('tells what an attempt cost: what its agent said last, nothing where it was ended, 0 where it was not started', async () => {
    const lines = ['{"costMicroUsd": 5}', '{"costMicroUsd": 700}', '{"costMicroUsd": -1}'];
    const costOf = async (ticket: LeasedTicket, result: Partial<CommandResult>) => {
      const execution = await execute(ticket, { sandbox: scripted('sandbox', { ...result, lines }) });
      return execution.kind === 'finished' ? execution.costMicroUsd : 'aborted';
    };
    expect(await costOf(ticketOf({}), {})).toBe(700);
    expect(await costOf(ticketOf({}), { kind: 'timed-out' })).toBeUndefined();
    expect(await costOf(ticketOf({ capabilities: [{ name: 'scan' }] }, { action: 'scam' }), {})).toBe(0);
  });

  it('hands on progress, and takes the last error an agent tells as its message', async () => {
    const sandbox = scripted('sandbox', {
      kind: 'exited',
      exitCode: 1,
      lines: ['{"progress":1}', 'words', '{"error":"first"}', '{"progress":2}', '{"error":"last"}'],
    });
    expect(await execute(ticketOf(), { sandbox })).toMatchObject({
      progress: [1, 2],
      outcome: { error: { code: 'AGENT_FAILED', message: 'last' } },
    });
  });

  it('has no outcome where it was aborted', async () => {
    expect((await execute(ticketOf(), { sandbox: scripted('sandbox', { kind: 'aborted' }) })).kind).toBe('aborted');
  });

  it('turns a fault of ours into an outcome, so that a ticket never hangs', async () => {
    const sandbox: Runner = { confines: true, run: () => Promise.reject(new TypeError('a fault of ours')) };
    expect(await execute(ticketOf(), { sandbox })).toMatchObject({ outcome: { error: { code: 'INTERNAL', message: 'a fault of ours' } } });
  });
});
