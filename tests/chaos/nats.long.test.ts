/** Events over a real NATS server (Debian: nats-server), into and out of two control planes on one database. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { defaultTenantId, HiveError, type RunId } from '@hivekeeper/contract';
import { newLog, systemClock } from '@hivekeeper/kernel';
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { beforeEach, afterEach, expect, test, vi } from 'vitest';
import { openDatabase } from '../../apps/control/src/adapters/postgres/index.ts';
import { connectNats } from '../../apps/control/src/outside.ts';
import type { Engine } from '../../apps/control/src/engine.ts';
import { deploy, engineOn, ownDatabase, seatWorker, start, succeed } from '../engine/fixture.ts';
import { temporaryDirectory } from '../stack/stack.ts';

const { database, sql } = await ownDatabase();

const log = newLog({ level: 'warn', component: 'test' });
const patiently = { timeout: 30_000, interval: 50 };

if (spawnSync('nats-server', ['--version']).status !== 0)
  throw new HiveError('INTERNAL', 'this test needs nats-server: apt-get install nats-server');

let stack: AsyncDisposableStack;
let directory: string;
let port: number;
let server: ChildProcess;
let client: NatsConnection;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  directory = stack.use(await temporaryDirectory('nats')).path;
  port = await freePort();
  await startServer();
  stack.defer(() => kill('SIGTERM'));
  client = await connect({ servers: `127.0.0.1:${port}`, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  stack.defer(() => client.close());
  await sql`TRUNCATE runs, run_journal, events, outbox, relays, tickets, approvals, idempotency_keys`;
});
afterEach(() => stack.disposeAsync());

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port: free } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return free;
}

const withJetStream = () => ['-js', '-sd', directory];

async function startServer(more: readonly string[] = withJetStream()): Promise<void> {
  server = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port), ...more], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  for await (const chunk of server.stderr as NodeJS.ReadableStream) {
    said += String(chunk);
    if (said.includes('Server is ready')) break;
  }
}

async function kill(signal: NodeJS.Signals): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  server.kill(signal);
  await once(server, 'exit');
}

/** A control plane that listens to NATS, with a worker. */
async function plane(): Promise<Engine> {
  const engine = stack.use(await engineOn(database.url));
  const { outboxStore: outbox } = stack.use(await openDatabase({ url: database.url, maxConnections: 2, log }));
  const config = { natsUrl: `nats://127.0.0.1:${port}`, natsSubjects: ['order.>'] };
  await connectNats({ stack, engine, outbox, config, clock: systemClock, log });
  seatWorker(engine, succeed, 50);
  return engine;
}

/** Resolves once the control planes have made their streams. */
const listening = () =>
  vi.waitUntil(
    async () => (await (await jetstreamManager(client)).consumers.info('HIVEKEEPER_IN', 'hivekeeper').catch(() => undefined)) !== undefined,
    patiently,
  );
const runCount = async () => (await sql`SELECT FROM runs`).length;
const send = (subject: string, body: unknown, messageId?: string) => {
  const named = headers();
  if (messageId !== undefined) named.set('Nats-Msg-Id', messageId);
  client.publish(subject, JSON.stringify(body), { headers: named });
};
const indexer = (pattern: string) => ({ name: 'indexer', nodes: [{ id: 'index', agent: 'noop' }], trigger: { event: { pattern } } });
const contexts = async ({ services }: Engine) => {
  const ids = (await sql<{ id: RunId }[]>`SELECT id FROM runs ORDER BY id`).map(({ id }) => id);
  return Promise.all(ids.map(async (id) => (await services.runs.view(defaultTenantId, id)).context));
};

test('graph.indexed.7 with a flat body starts the workflow that means it, and graph.file.updated that of three words', async () => {
  const engine = await plane();
  await deploy(engine, indexer('graph.>'));
  await listening();
  send('graph.indexed.7', { project_id: 7, files: 3 });
  await vi.waitUntil(async () => (await runCount()) === 1, patiently);
  send('graph.file.updated', { type: 'graph.file.updated', payload: { path: '/a' }, source: 'hub' });
  await vi.waitUntil(async () => (await runCount()) === 2, patiently);
  expect(await contexts(engine)).toMatchObject([
    { event: { project_id: 7, files: 3 }, type: 'graph.indexed.7', subject: 'graph.indexed.7', source: 'nats' },
    { event: { path: '/a' }, type: 'graph.file.updated', source: 'hub' },
  ]);
});

test.each([
  ['stream', (manager: JetStreamManager) => manager.streams.delete('HIVEKEEPER_IN')],
  ['consumer', (manager: JetStreamManager) => manager.consumers.delete('HIVEKEEPER_IN', 'hivekeeper')],
] as const)('a %s that somebody deletes is made anew, and what comes then starts runs', async (_what, remove) => {
  const engine = await plane();
  await deploy(engine, indexer('graph.>'));
  await listening();
  await remove(await jetstreamManager(client));
  await listening();
  send('graph.indexed.7', { project_id: 7 });
  await vi.waitUntil(async () => (await runCount()) === 1, patiently);
});

test('of 200 messages, each sent three times, to two control planes, each starts one run, also where the server dies among them', async () => {
  const [one] = [await plane(), await plane()];
  await deploy(one, indexer('order.paid'));
  await listening();
  const stream = jetstream(client);
  // Acknowledged by the server: it may not lose them. Within its window it drops repeats itself, so the ids of repeats differ in the body only.
  const publish = async (number: number) => {
    const event = { specversion: '1.0', id: `m-${number}`, source: 'shop', type: 'order.paid', data: { number } };
    for (let tries = 0; tries < 100; tries += 1) {
      const isTaken = await stream.publish('order.paid', JSON.stringify(event), { timeout: 1_000 }).then(
        () => true,
        () => false,
      );
      if (isTaken) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect.fail(`message ${number} was not taken`);
  };
  for (let number = 0; number < 200; number += 1) {
    if (number === 70 || number === 140) {
      await kill('SIGKILL');
      await startServer();
    }
    for (let repeat = 0; repeat < 3; repeat += 1) await publish(number);
  }
  await vi.waitUntil(async () => (await runCount()) >= 200, patiently);
  // What is under way may only be repeats: all of them are acknowledged before anybody counts.
  const manager = await jetstreamManager(client);
  const pending = async () => {
    const { num_pending, num_ack_pending } = await manager.consumers.info('HIVEKEEPER_IN', 'hivekeeper');
    return num_pending + num_ack_pending;
  };
  await vi.waitUntil(async () => (await pending()) === 0, { timeout: 60_000, interval: 200 });
  const numbers = (await contexts(one)).map(({ event }) => (event as { number: number }).number).sort((a, b) => a - b);
  process.stdout.write(`${JSON.stringify({ messages: 600, runs: numbers.length })}\n`);
  expect(numbers).toEqual(Array.from({ length: 200 }, (_, number) => number));
});

test('what ends and what is asked of people is told, also what happened while the server was away', async () => {
  const engine = await plane();
  await deploy(engine, { name: 'simple', nodes: [{ id: 'works', agent: 'noop' }] });
  await deploy(engine, {
    name: 'asks',
    nodes: [{ id: 'mends', agent: 'risky', input: { target: '{{ context.target }}', apiKey: 'sk-secret-1234567890' } }],
  });
  await listening();
  await start(engine, 'simple');
  await kill('SIGKILL');
  for (let number = 0; number < 20; number += 1) await start(engine, 'simple');
  await start(engine, 'asks', { target: '/repo' });
  await vi.waitUntil(async () => (await sql`SELECT FROM runs WHERE finished_at IS NOT NULL`).length === 21, patiently);
  await startServer();
  await vi.waitUntil(async () => (await sql`SELECT FROM outbox`).length === 0, patiently);
  const manager = await jetstreamManager(client);
  const told: { subject: string; body: Record<string, unknown> }[] = [];
  const { state } = await manager.streams.info('HIVEKEEPER_OUT');
  for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
    const message = await manager.streams.getMessage('HIVEKEEPER_OUT', { seq });
    if (message !== null) told.push({ subject: message.subject, body: message.json() });
  }
  const completed = told.filter(({ subject }) => subject === 'workflow.run.completed').map(({ body }) => body['workflowRunId']);
  const ended = (await sql`SELECT id FROM runs WHERE finished_at IS NOT NULL`).map(({ id }) => id as string);
  expect(new Set(completed)).toEqual(new Set(ended));
  const [asked] = told.filter(({ subject }) => subject === 'workflow.approval.requested');
  expect(asked?.body).toMatchObject({
    nodeId: 'mends',
    agentName: 'risky',
    workflowName: 'asks',
    inputs: { target: '/repo', apiKey: '[redacted]' },
  });
  expect(asked?.body['inputsPreview']).toContain('"/repo"');
});

test('a message that is no event holds up none behind it', async () => {
  const engine = await plane();
  await deploy(engine, indexer('graph.>'));
  await listening();
  client.publish('graph.broken', '{"a":');
  client.publish('graph.empty', '');
  send('graph.bad', { type: 'no type', payload: 1 });
  send('graph.fine', { a: 1 }, 'm-1');
  send('graph.fine', { a: 2 }, 'm-2');
  await vi.waitUntil(async () => (await runCount()) === 2, patiently);
  const numbers = (await contexts(engine)).map(({ event }) => (event as { a: number }).a).sort();
  expect(numbers).toEqual([1, 2]);
});

test('without JetStream messages start runs and ends are told, also after the server was away; what it does not answer holds up nothing', async () => {
  await kill('SIGKILL');
  await startServer([]);
  const engine = await plane();
  await deploy(engine, indexer('graph.>'));
  const told: string[] = [];
  client.subscribe('workflow.run.completed', {
    callback: (_, message) => void told.push(message.json<{ workflowRunId: string }>().workflowRunId),
  });
  const sendUntil = async (count: number) => {
    for (let number = 0; (await runCount()) < count; number += 1) {
      send('graph.indexed.7', { files: 3 }, `m-${count}-${number}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };
  await sendUntil(1);
  await vi.waitUntil(() => told.length > 0, patiently);
  // It takes connections, and answers nothing any more.
  server.kill('SIGSTOP');
  await start(engine, 'indexer', { event: {} });
  await vi.waitUntil(async () => (await sql`SELECT FROM runs WHERE finished_at IS NULL`).length === 0, patiently);
  server.kill('SIGKILL');
  await once(server, 'exit');
  await startServer([]);
  const before = await runCount();
  await sendUntil(before + 1);
  await vi.waitUntil(async () => (await sql`SELECT FROM outbox`).length === 0, patiently);
  // The subscription of the test comes back in its own time: what is told from now on is heard.
  await vi.waitUntil(async () => new Set(told).size >= 2, patiently);
});

test('where JetStream is there and may not be used, nothing is told without it, and all is told once it may', async () => {
  await kill('SIGKILL');
  const file = join(directory, 'no-rights.conf');
  await writeFile(
    file,
    'authorization: { users: [ { user: any, password: any, permissions: { publish: { deny: "$JS.API.>" } } } ] }\nno_auth_user: any\n',
  );
  await startServer([...withJetStream(), '-c', file]);
  const engine = await plane();
  await deploy(engine, { name: 'simple', nodes: [{ id: 'works', agent: 'noop' }] });
  await start(engine, 'simple');
  await vi.waitUntil(async () => (await sql`SELECT FROM runs WHERE finished_at IS NOT NULL`).length === 1, patiently);
  // Longer than one set-up takes and fails.
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  expect(await sql`SELECT FROM outbox`).toHaveLength(1);
  await kill('SIGKILL');
  await startServer();
  await vi.waitUntil(async () => (await sql`SELECT FROM outbox`).length === 0, patiently);
  const { state } = await (await jetstreamManager(client)).streams.info('HIVEKEEPER_OUT');
  expect(state.messages).toBe(1);
});
