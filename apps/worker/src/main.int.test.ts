// @module-tag needs-bwrap
import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type LeasedTicket, type RegisterWorker, leasedTicketSchema } from '@hivekeeper/contract';
import { afterEach, beforeEach, expect, describe, it } from 'vitest';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const agents = fileURLToPath(new URL('fixtures/agents', import.meta.url));
const ulid = '01JD0000000000000000000000';
const token = 'right';

interface Call {
  readonly name: string;
  readonly body: Record<string, never> & {
    readonly outcome?: unknown;
    readonly tickets?: readonly { readonly progress?: unknown }[];
    readonly waitMs?: number;
  };
}

/** The worker's half of `/v1`, small enough to see through: hands out what is queued, remembers every call. */
class ControlPlane extends EventEmitter {
  readonly calls: Call[] = [];
  readonly #queue: LeasedTicket[] = [];
  readonly #server: Server;
  #wake: (() => void) | undefined;

  constructor() {
    super();
    this.#server = createServer((request, response) => {
      const reply = (status: number, answer: object) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      if (request.headers.authorization !== `Bearer ${token}`)
        return reply(401, { error: { code: 'UNAUTHENTICATED', message: 'wrong token', remedy: '' } });
      void json(request).then((body) => this.#answer({ name: request.url?.split('/').at(-1) ?? '', body: body as Call['body'] }, reply));
    });
  }

  async open(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  hand(ticket: LeasedTicket): void {
    this.#queue.push(ticket);
    this.#wake?.();
  }

  /** The first call of that name, past or to come. */
  async called(name: string): Promise<Call['body']> {
    const past = this.calls.find((call) => call.name === name);
    return past?.body ?? ((await once(this, name)) as [Call['body']])[0];
  }

  #answer(call: Call, reply: (status: number, answer: object) => void): void {
    this.calls.push(call);
    this.emit(call.name, call.body);
    const give = () => reply(200, { tickets: this.#queue.splice(0), revoked: [] });
    if (call.name === 'heartbeat') return reply(200, { revoked: [] });
    if (call.name !== 'poll') return reply(200, {});
    if (this.#queue.length > 0 || call.body.waitMs === 0) return give();
    this.#wake = give;
  }
}

const ticketOf = (agent: object, changes: object = {}): LeasedTicket =>
  leasedTicketSchema.parse({
    ...{
      ticketId: `tkt_${ulid}.1`,
      token: '1.1',
      runId: `run_${ulid}`,
      nodeId: 'n',
      slot: 0,
      attempt: 1,
      input: {},
      timeoutMs: 60_000,
      leaseMs: 2_000,
    },
    ...changes,
    agent: { name: 'fixture', version: '1.0.0', trust: 'untrusted', ...agent },
  });
const typed = { directory: join(agents, 'typed') };

function processesWith(marker: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(marker);
      } catch {
        return false;
      }
    });
}

let control: ControlPlane;
let url: string;
let root: string;
const workers: ChildProcess[] = [];
beforeEach(async () => {
  control = new ControlPlane();
  url = await control.open();
  root = realpathSync(mkdtempSync(join(tmpdir(), 'hive-worker-')));
});
afterEach(async () => {
  for (const worker of workers.splice(0)) {
    if (worker.exitCode !== null || worker.signalCode !== null) continue;
    worker.kill('SIGKILL');
    await once(worker, 'exit');
  }
  await control.close();
  rmSync(root, { recursive: true, force: true });
});

function startWorker(
  options: {
    readonly environment?: object;
    readonly stdio?: readonly ('ignore' | 'ipc' | number)[];
    readonly args?: readonly string[];
  } = {},
): ChildProcess {
  const worker = spawn(process.execPath, [main, '--root', root, ...(options.args ?? [])], {
    env: { PATH: process.env.PATH, HIVE_URL: url, HIVE_TOKEN: token, HIVE_LOG_LEVEL: 'warn', ...options.environment },
    stdio: [...(options.stdio ?? ['ignore', 'ignore', 'ignore'])],
  });
  workers.push(worker);
  return worker;
}

async function settled(ticket: LeasedTicket): Promise<unknown> {
  control.hand(ticket);
  startWorker();
  return (await control.called('settle')).outcome;
}

describe('a worker', () => {
  it('registers with what it can run', async () => {
    startWorker({ args: ['--name', 'one', '--parallel', '3', '--label', 'gpu'] });
    const registration = (await control.called('register')) as unknown as RegisterWorker;
    expect(registration).toMatchObject({ name: 'one', maxParallel: 3 });
    expect(registration.capabilities).toEqual(expect.arrayContaining(['node', 'exec', 'sandbox', 'gpu']));
  });

  it('runs a TypeScript agent that uses the SDK of its workspace', async () => {
    expect(await settled(ticketOf(typed, { input: { marker: 'm' } }))).toEqual({
      ok: true,
      output: { marker: 'm', argument: '{"marker":"m"}', run: `run_${ulid}` },
    });
  });

  it('runs a Python agent, which gets its input in three ways', async () => {
    const agent = { directory: join(agents, 'snake'), runtime: 'python', entry: 'agent.py' };
    expect(await settled(ticketOf(agent, { input: { a: ['ä'] } }))).toEqual({ ok: true, output: { same: true, input: { a: ['ä'] } } });
  });

  it('runs an executable', async () => {
    expect(await settled(ticketOf({ directory: join(agents, 'shell'), runtime: 'exec', entry: 'run' }))).toEqual({
      ok: true,
      output: { home: '/tmp', argument: {} },
    });
  });

  it('shows an agent of a single file nothing of the directory it lies in', async () => {
    writeFileSync(join(root, 'diary'), 'secret');
    writeFileSync(join(root, 'solo.py'), 'import json, os\nprint(json.dumps([os.getcwd(), os.listdir(".")]))\n');
    const agent = { directory: root, runtime: 'python', entry: 'solo.py', isSingleFile: true };
    expect(await settled(ticketOf(agent))).toEqual({ ok: true, output: [root, ['solo.py']] });
  });

  it('grants what the input names below its roots, and refuses anything else', async () => {
    writeFileSync(join(root, 'run'), '#!/bin/sh\necho written >"$(cat | cut -d\'"\' -f4)/file" && echo true\n', { mode: 0o755 });
    const agent = { directory: root, runtime: 'exec', entry: 'run', grants: [{ field: 'out', access: 'write' }] };
    expect(await settled(ticketOf(agent, { input: { out: join(root, 'new', 'out') } }))).toEqual({ ok: true, output: true });
    expect(readFileSync(join(root, 'new', 'out', 'file'), 'utf8')).toBe('written\n');
    const next = once(control, 'settle');
    control.hand(ticketOf(agent, { ticketId: `tkt_${ulid}.2`, input: { out: '/srv' } }));
    expect(await next).toMatchObject([{ outcome: { ok: false, error: { code: 'PATH_NOT_ALLOWED' } } }]);
  });

  it('tells an agent’s progress while it renews the lease', async () => {
    control.hand(ticketOf(typed, { input: { waitMs: 60_000 } }));
    startWorker();
    await expect
      .poll(() => control.calls.filter(({ name }) => name === 'heartbeat').at(-1)?.body.tickets?.[0]?.progress, { timeout: 20_000 })
      .toEqual({ waiting: 60_000 });
  });

  it('on SIGTERM finishes what it has, settles it and ends with 0', async () => {
    control.hand(ticketOf(typed, { input: { waitMs: 1_500 } }));
    const worker = startWorker();
    await control.called('heartbeat');
    worker.kill('SIGTERM');
    expect(await once(worker, 'exit')).toEqual([0, null]);
    expect(control.calls.filter(({ name }) => name === 'settle')).toMatchObject([{ body: { outcome: { ok: true } } }]);
  });

  it('takes its agents with it when it is killed', async () => {
    const marker = `hive-main-${process.pid}-killed`;
    control.hand(ticketOf(typed, { input: { waitMs: 600_000, marker } }));
    const worker = startWorker();
    await control.called('heartbeat');
    expect(processesWith(marker).length).toBeGreaterThan(0);
    worker.kill('SIGKILL');
    await expect.poll(() => processesWith(marker), { timeout: 10_000 }).toEqual([]);
  });

  it('leaves no sockets of its agents behind; after a kill the next worker removes them', async () => {
    const rooms = () => readdirSync(root).filter((name) => name.startsWith('hive-sockets-'));
    const options = { environment: { TMPDIR: root } };
    control.hand(ticketOf(typed, { input: { waitMs: 600_000 } }));
    const killed = startWorker(options);
    await control.called('heartbeat');
    expect(rooms().flatMap((room) => readdirSync(join(root, room)))).toEqual(['1']);
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    expect(rooms()).toHaveLength(1);
    const registered = once(control, 'register');
    const next = startWorker(options);
    await registered;
    expect(rooms()).toEqual([expect.stringContaining(`-${next.pid}-`)]);
    next.kill('SIGTERM');
    await once(next, 'exit');
    expect(rooms()).toEqual([]);
  });

  it('kills its agents and ends when the process that started it closes the channel', async () => {
    const marker = `hive-main-${process.pid}-orphan`;
    control.hand(ticketOf(typed, { input: { waitMs: 600_000, marker } }));
    const worker = startWorker({ stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    await control.called('heartbeat');
    expect(processesWith(marker).length).toBeGreaterThan(0);
    worker.disconnect();
    expect(await once(worker, 'exit')).toEqual([1, null]);
    expect(processesWith(marker)).toEqual([]);
  });

  it('reads its token from a descriptor, and ends with 3 where a token is wrong', async () => {
    const path = join(root, 'token');
    writeFileSync(path, `${token}\n`);
    const descriptor = openSync(path, 'r');
    startWorker({ stdio: ['ignore', 'ignore', 'ignore', descriptor], environment: { HIVE_TOKEN: '', HIVE_TOKEN_FD: '3' } });
    closeSync(descriptor);
    await control.called('register');
    expect(await once(startWorker({ environment: { HIVE_TOKEN: 'wrong' } }), 'exit')).toEqual([3, null]);
  });

  it('ends with 2 where an option is wrong', async () => {
    expect(await once(startWorker({ args: ['--parallel', 'many'] }), 'exit')).toEqual([2, null]);
  });
});
