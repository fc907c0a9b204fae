// @module-tag needs-bwrap
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import {
  type BegunEffect,
  type EffectId,
  type LeasedTicket,
  leasedTicketSchema,
  type Suspension,
  type WorkerId,
} from '@hivekeeper/contract';
import { newLog, systemClock } from '@hivekeeper/kernel';
import { answer as answers, type Behaviour, guardLeaks, seededRandom, startFaultProvider, stream } from '@hivekeeper/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Execution, type ExecuteTicket, newExecutor } from '../agents/attempt/index.ts';
import { findRuntimes, newProcessKind } from '../agents/process/index.ts';
import type { LedgerApi } from '../report/index.ts';
import { closeInheritedDescriptors, newPlainRunner, probeSandbox } from '../sandbox/process/index.ts';
import { type AgentWays, ModelRelay, openSocketRoom, serveAgent, SessionLedger } from './index.ts';

guardLeaks();

const log = newLog({ level: 'silent', component: 'test' });
const readme = readFileSync(new URL('../agents/process/README.md', import.meta.url), 'utf8');
const example = (language: string) => new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(readme)?.[1] ?? expect.fail(language);
const ulid = '01JD0000000000000000000000';
const effectId = `eff_${ulid}` as EffectId;
const receipt = { ok: true, output: { to: 'ann', key: 'before' } } as const;

let directory: string;
let execute: ExecuteTicket;
let executePlain: ExecuteTicket;
beforeAll(async () => {
  closeInheritedDescriptors();
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'hive-socket-')));
  chmodSync(directory, 0o755);
  const searchPath = process.env.PATH ?? '';
  const probe = await probeSandbox({ clock: systemClock, log, searchPath });
  if (!probe.available) expect.fail(`no sandbox: ${probe.reasons.join('; ')}`);
  const parts = {
    runtimes: await findRuntimes(searchPath),
    workspace: { roots: [directory], protectedDirectories: [], isSealed: () => false },
    environment: {},
    plain: newPlainRunner({ clock: systemClock }),
  };
  execute = newExecutor({ process: newProcessKind({ ...parts, sandbox: probe.runner }) });
  executePlain = newExecutor({ process: newProcessKind(parts) });
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Told {
  readonly execution: Execution;
  readonly asked: readonly (readonly [string, object])[];
  readonly suspension: Suspension | undefined;
}

/** Runs an agent in the sandbox over a ledger that begins effects as it is told. */
async function run(
  agent: {
    readonly runtime: string;
    readonly code: string;
    readonly memo?: LeasedTicket['memo'];
    readonly isConfined?: boolean;
    readonly models?: readonly string[];
    /** Where its calls of models go. */
    readonly control?: string;
  },
  begun: BegunEffect,
): Promise<Told> {
  const place = join(directory, agent.runtime);
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, 'agent'), agent.code, { mode: 0o755 });
  const ticket = leasedTicketSchema.parse({
    ...{
      ticketId: `tkt_${ulid}.1`,
      token: '1.1',
      runId: `run_${ulid}`,
      nodeId: 'n',
      slot: 0,
      attempt: 1,
      timeoutMs: 30_000,
      leaseMs: 2_000,
    },
    input: { to: 'ann' },
    memo: agent.memo ?? [],
    agent: {
      name: 'fixture',
      version: '1.0.0',
      trust: agent.isConfined === false ? 'trusted' : 'untrusted',
      directory: place,
      entry: 'agent',
      runtime: agent.runtime,
      ...(agent.models !== undefined && { models: agent.models }),
    },
  });
  const asked: [string, object][] = [];
  const suspended = new AbortController();
  let suspension: Suspension | undefined;
  const answer = (name: string, value: object) => async (body: object) => {
    asked.push([name, body]);
    return value as never;
  };
  const api: LedgerApi = {
    beginEffect: answer('begin', begun),
    finishEffect: answer('finish', {}),
    doubtEffect: answer('doubt', {}),
    probedEffect: answer('probed', {}),
    recordStep: answer('record', {}),
    memo: answer('memo', { steps: [] }),
  };
  using room = openSocketRoom();
  const parts = { clock: systemClock, random: seededRandom(1), log, signal: suspended.signal, onNotHeld: () => undefined };
  const onSuspend = (wait: Suspension) => {
    suspension = wait;
    suspended.abort();
  };
  const ledger = new SessionLedger({ ...parts, api, workerId: `wrk_${ulid}` as WorkerId, ticket, onSuspend });
  const way = { url: agent.control ?? 'http://127.0.0.1:1', token: 'worker-key', workerId: `wrk_${ulid}` as WorkerId, ticket };
  const models = new ModelRelay({ ...way, signal: suspended.signal });
  await using socket = await serveAgent(room.makePlace(), { ledger, models });
  const execution = await (agent.isConfined === false ? executePlain : execute)(ticket, {
    signal: suspended.signal,
    socket,
    log,
    onProgress: () => undefined,
  });
  return { execution, asked, suspension };
}

const minute: LeasedTicket['memo'] = [{ step: 'a minute', outcome: { ok: true, output: null } }];
const python = { runtime: 'python', code: example('python'), memo: minute };
const shell = { runtime: 'exec', code: example('sh') };

describe('an agent in the sandbox, without network, as the README shows it', () => {
  it.each([
    ['in Python', python, { to: 'ann', key: effectId }],
    ['with curl', shell, 'sent'],
  ] as const)('%s does an effect once it is on record, and says how it ended', async (_, agent, output) => {
    const { execution, asked } = await run(agent, { state: 'dispatched', effectId });
    expect(execution).toEqual({ kind: 'finished', outcome: { ok: true, output } });
    expect(asked.filter(([name]) => name !== 'memo')).toMatchObject([
      ['begin', { tool: 'mail.send', args: { to: 'ann' }, token: '1.1' }],
      ['finish', { effectId, outcome: { ok: true, output } }],
    ]);
  });

  it('in Python does not do again what is recorded', async () => {
    const { execution, asked } = await run(python, { state: 'confirmed', effectId, outcome: receipt });
    expect(execution).toEqual({ kind: 'finished', outcome: receipt });
    expect(asked.map(([name]) => name)).toEqual(['memo', 'begin']);
  });

  it.each([
    ['in Python', python],
    ['with curl', shell],
  ] as const)('%s waits for a person where it is not known whether it was done', async (_, agent) => {
    const { execution, suspension } = await run(agent, { state: 'unknown', effectId, reason: 'r' });
    expect(execution).toEqual({ kind: 'aborted' });
    expect(suspension).toEqual({ kind: 'effect', step: 'mail.send', effectId, tool: 'mail.send' });
  });

  it('in Python waits for time, and is ended meanwhile', async () => {
    const { execution, suspension } = await run({ ...python, memo: [] }, { state: 'dispatched', effectId });
    expect([execution, suspension]).toEqual([{ kind: 'aborted' }, { kind: 'timer', step: 'a minute', forMs: 60_000 }]);
  });

  it('asks as well where it is trusted and there is no sandbox', async () => {
    const { execution, asked } = await run({ ...shell, isConfined: false }, { state: 'dispatched', effectId });
    expect(execution).toEqual({ kind: 'finished', outcome: { ok: true, output: 'sent' } });
    expect(asked.map(([name]) => name)).toEqual(['begin', 'finish']);
  });

  it('sees no socket but its own, in a directory that is closed to others and that it cannot write to', async () => {
    using room = openSocketRoom();
    await using other = await serveAgent(room.makePlace(), {} as AgentWays);
    expect(statSync(other.path).isSocket()).toBe(true);
    const code = `#!/bin/sh
place=$(dirname "$HIVE_SOCKET")
touch "$place/new" 2>/dev/null && written=true || written=false
printf '{"seen": %s, "mode": %s, "written": %s}' "$(find / -name hive.sock 2>/dev/null | wc -l)" "$(stat -c %a "$place")" "$written"`;
    const { execution } = await run({ runtime: 'exec', code }, { state: 'dispatched', effectId });
    expect(execution).toEqual({ kind: 'finished', outcome: { ok: true, output: { seen: 1, mode: 700, written: false } } });
  });
});

describe('an agent in the sandbox, without network, calls models', () => {
  const call = (model: string) => `#!/bin/sh
curl --silent --unix-socket "$HIVE_SOCKET" http://hive/v1/chat/completions --header 'authorization: Bearer anything' \\
  --data '{"model": "${model}", "messages": []}' > /tmp/said; status=$?
printf '{"status": %s, "said": %s}' "$status" "$(cat /tmp/said | tail -n 1 | grep . || echo null)"`;
  const calling = async (model: string, behaviour: Behaviour) => {
    control.plan(behaviour);
    const url = control.url.replace('/v1', '');
    const { execution } = await run(
      { runtime: 'exec', code: call(model), models: ['fast'], control: url },
      { state: 'dispatched', effectId },
    );
    return execution.kind === 'finished' && execution.outcome.ok ? execution.outcome.output : execution;
  };
  let control: Awaited<ReturnType<typeof startFaultProvider>>;
  beforeAll(async () => {
    control = await startFaultProvider();
  });
  afterAll(() => control[Symbol.asyncDispose]());

  it('that its manifest names, with its ticket’s token and the worker’s key, which it never sees', async () => {
    expect(await calling('fast', answers({ id: 'c1' }))).toEqual({ status: 0, said: { id: 'c1' } });
    expect(control.asked).toMatchObject([
      {
        path: '/v1/worker/model-calls',
        headers: { authorization: 'Bearer worker-key' },
        body: {
          ticketId: `tkt_${ulid}.1`,
          token: '1.1',
          runId: `run_${ulid}`,
          nodeId: 'n',
          dialect: 'chat-completions',
          question: { model: 'fast' },
        },
      },
    ]);
  });

  it('and no others', async () => {
    expect(await calling('best', answers({ id: 'c1' }))).toMatchObject({ said: { error: { code: 'MODEL_NOT_DECLARED' } } });
    expect(control.asked).toEqual([]);
  });

  it('and sees that an answer broke off', async () => {
    const curlPartialFile = 18;
    expect(await calling('fast', stream(['{"a":1}'], 'cut'))).toMatchObject({ status: curlPartialFile });
  });

  it('and is told the code where the control plane refuses', async () => {
    const refused = answers({ error: { code: 'TICKET_NOT_HELD' } }, { status: 409 });
    expect(await calling('fast', refused)).toMatchObject({ said: { error: { code: 'TICKET_NOT_HELD' } } });
  });
});

describe('an agent’s socket', () => {
  const models = new ModelRelay({
    ...{ url: 'http://127.0.0.1:1', token: undefined, workerId: `wrk_${ulid}` as WorkerId, ticket: {} as LeasedTicket },
    signal: new AbortController().signal,
  });
  const ledger = { suspend: () => undefined, memo: async () => ({ waits: [], steps: [] }) } as unknown as SessionLedger;

  async function asking(
    path: string,
    { method = 'POST', url, body = '' }: { readonly method?: string; readonly url: string; readonly body?: string },
  ) {
    const call = request({ socketPath: path, method, path: url });
    call.end(body);
    const [response] = (await once(call, 'response')) as [import('node:http').IncomingMessage];
    const answer = await text(response);
    return { status: response.statusCode, code: (JSON.parse(answer) as { error?: { code: string } }).error?.code };
  }

  it('refuses what it does not understand with a code, and goes on', async () => {
    using room = openSocketRoom(directory);
    await using socket = await serveAgent(room.makePlace(), { ledger, models });
    const ask = (question: Parameters<typeof asking>[1]) => asking(socket.path, question);
    expect(await ask({ url: '/elsewhere' })).toEqual({ status: 404, code: 'ROUTE_NOT_FOUND' });
    expect(await ask({ url: '/steps', method: 'GET' })).toEqual({ status: 405, code: 'METHOD_NOT_ALLOWED' });
    expect(await ask({ url: '/steps', body: '{"step":' })).toEqual({ status: 400, code: 'MALFORMED_JSON' });
    expect(await ask({ url: '/steps', body: '{}' })).toEqual({ status: 400, code: 'INVALID_REQUEST' });
    expect(await ask({ url: '/steps', body: '{"step":"\\u0000"}' })).toEqual({ status: 422, code: 'UNSTORABLE_VALUE' });
    expect(await ask({ url: '/memo?before=x', method: 'GET' })).toEqual({ status: 400, code: 'INVALID_REQUEST' });
    expect(await ask({ url: '/effects/begin', body: JSON.stringify({ tool: 't', args: 'x'.repeat(300_000) }) })).toEqual({
      status: 413,
      code: 'BODY_TOO_LARGE',
    });
    expect(await ask({ url: '/memo', method: 'GET' })).toEqual({ status: 200, code: undefined });
  });

  it('takes 64 MiB in all, and no more', async () => {
    using room = openSocketRoom(directory);
    const taking = { ...ledger, record: async () => ({ outcome: receipt }) } as unknown as SessionLedger;
    await using socket = await serveAgent(room.makePlace(), { ledger: taking, models });
    const body = JSON.stringify({ step: 's', outcome: { ok: true, output: 'x'.repeat(255 * 1024) } });
    const tell = () => asking(socket.path, { url: '/steps', body });
    const taken = Math.floor((64 * 1024 * 1024) / body.length);
    for (let count = 0; count < taken; count += 1) expect((await tell()).status).toBe(200);
    expect(await tell()).toEqual({ status: 429, code: 'AGENT_CALLS_TOO_MANY' });
  });

  it('answers 10,000 calls, and no more', async () => {
    using room = openSocketRoom(directory);
    await using socket = await serveAgent(room.makePlace(), { ledger, models });
    const ask = () => asking(socket.path, { url: '/memo', method: 'GET' });
    for (let batch = 0; batch < 200; batch += 1) await Promise.all(Array.from({ length: 50 }, ask));
    expect(await ask()).toEqual({ status: 429, code: 'AGENT_CALLS_TOO_MANY' });
  });

  it('leaves nothing behind when it is closed, also in the middle of a call', async () => {
    using room = openSocketRoom(directory);
    const socket = await serveAgent(room.makePlace(), { ledger, models });
    const call = request({ socketPath: socket.path, method: 'POST', path: '/suspend' });
    call.end(JSON.stringify({ kind: 'timer', step: 's', forMs: 1 }));
    const ended = once(call, 'error');
    await once(call, 'finish');
    await socket[Symbol.asyncDispose]();
    await ended;
    expect(() => realpathSync(socket.directory)).toThrow('ENOENT');
  });
});
