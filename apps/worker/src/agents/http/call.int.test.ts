import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { type JsonObject, leasedTicketSchema } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock, guardLeaks } from '@hivekeeper/testkit';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { newExecutor } from '../attempt/index.ts';
import { newHttpKind } from './call.ts';

guardLeaks();

const secret = `whsec_${Buffer.from('a secret of at least 24 bytes').toString('base64')}`;
const ulid = '01JD0000000000000000000000';

interface Seen {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}
type Reply = (response: ServerResponse) => void;

let server: Server;
let url: string;
let seen: Seen[];
let reply: Reply;
/** Resolves with the next request. */
let heard: PromiseWithResolvers<Seen>;

beforeAll(async () => {
  server = createServer((request, response) => void serve(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});
beforeEach(() => {
  seen = [];
  reply = (response) => response.end('{"output":{"total":3}}');
  heard = Promise.withResolvers();
});

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = '', headers } = request;
  const one = { method, headers: headers as Record<string, string>, body: await text(request) };
  seen.push(one);
  heard.resolve(one);
  heard = Promise.withResolvers();
  if (method === 'DELETE') response.writeHead(204).end();
  else reply(response);
}

interface Scene {
  readonly address?: string;
  readonly egress?: { readonly allow_private: boolean; readonly allowed_hosts?: string[] };
  readonly environment?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly clock?: FakeClock;
  readonly input?: JsonObject;
}

function execute({
  address = url,
  egress = { allow_private: true },
  environment = { SECRET: secret },
  clock = new FakeClock(),
  ...scene
}: Scene = {}) {
  const agent = {
    ...{ name: 'remote', version: '1.0.0', kind: 'http', trust: 'untrusted', limits: { outputBytes: 2_048 } },
    http: { url: address, secretVariable: 'SECRET' },
    capabilities: [{ name: 'add', inputSchema: { required: ['a'] } }],
  };
  const ticket = leasedTicketSchema.parse({
    ...{ ticketId: `tkt_${ulid}.4`, token: '1.1', runId: `run_${ulid}`, nodeId: 'n', slot: 2, attempt: 5, agent, action: 'add' },
    ...{ input: scene.input ?? { a: 'ü' }, timeoutMs: 1_000, leaseMs: 1_000 },
  });
  const executor = newExecutor({ http: newHttpKind({ egress, environment, clock, callbackUrl: 'https://hive.example.com/' }) });
  return executor(ticket, {
    signal: scene.signal ?? new AbortController().signal,
    onProgress: () => undefined,
    socket: { directory: '/tmp/s', path: '/tmp/s/hive.sock' },
    log: newLog({ level: 'silent', component: 'test' }),
  });
}
const codeOf = (execution: Awaited<ReturnType<typeof execute>>) =>
  execution.kind === 'finished' && !execution.outcome.ok ? execution.outcome.error.code : execution.kind;

it('POSTs the attempt, signed so that a library of Standard Webhooks accepts it', async () => {
  const clock = new FakeClock(Date.now());
  expect(await execute({ clock })).toEqual({ kind: 'finished', outcome: { ok: true, output: { total: 3 } } });
  const [post] = seen as [Seen];
  expect(post.method).toBe('POST');
  expect(new Webhook(secret).verify(post.body, post.headers)).toEqual({
    ...{ ticketId: `tkt_${ulid}.4`, runId: `run_${ulid}`, nodeId: 'n', slot: 2, attempt: 5, agent: 'remote', action: 'add' },
    ...{ input: { a: 'ü' }, timeoutMs: 1_000 },
    callbackUrl: expect.stringMatching(/^https:\/\/hive\.example\.com\/v1\/callbacks\/tkt_[^/]+\.4\/[\w-]{43}$/),
  });
  expect(post.headers).toMatchObject({
    'idempotency-key': `tkt_${ulid}-4`,
    'webhook-id': `tkt_${ulid}-4`,
    'content-type': 'application/json',
  });
  expect(() => new Webhook(secret).verify(`${post.body} `, post.headers)).toThrow();
});

it('lets the run wait by the hash of the secret that the agent was told', async () => {
  reply = (response) => response.writeHead(202).end();
  const execution = await execute();
  const { callbackUrl } = JSON.parse(seen[0]?.body ?? '') as { callbackUrl: string };
  const digest = await crypto.subtle.digest('SHA-256', Buffer.from(callbackUrl.split('/').at(-1) ?? ''));
  expect(execution).toMatchObject({ kind: 'suspended', suspension: { kind: 'signal', key: Buffer.from(digest).toString('hex') } });
});

it.each([
  ['an address that is not public', { egress: { allow_private: false } }, 'EGRESS_REFUSED'],
  ['a host that is not named', { egress: { allow_private: true, allowed_hosts: ['localhost'] } }, 'EGRESS_REFUSED'],
  ['a port at which nobody listens', { address: 'http://127.0.0.1:1/' }, 'AGENT_UNREACHABLE'],
  ['an input that breaks the schema', { input: {} }, 'AGENT_INPUT_SCHEMA'],
  ['no secret', { environment: {} }, 'AGENT_NOT_RUNNABLE'],
  ['a secret that is too short', { environment: { SECRET: 'whsec_c2hvcnQ=' } }, 'AGENT_NOT_RUNNABLE'],
] as const)('with %s nothing is sent', async (_what, scene, code) => {
  expect(codeOf(await execute(scene as Scene))).toBe(code);
  expect(seen).toEqual([]);
});

it.each([
  ['an endless answer', (response: ServerResponse) => drip(response), 'AGENT_OUTPUT_TOO_LARGE'],
  ['a redirect', (response: ServerResponse) => response.writeHead(307, { location: '/elsewhere' }).end(), 'AGENT_REFUSED'],
  [
    'a connection that breaks',
    (response: ServerResponse) => response.writeHead(200, { 'content-length': '9' }).destroy(),
    'AGENT_UNREACHABLE',
  ],
  ['an answer that is cut', (response: ServerResponse) => response.write('{', () => response.destroy()), 'AGENT_UNREACHABLE'],
] as const)('%s is a failure of its own, and asked for once', async (_what, how, code) => {
  reply = how as Reply;
  expect(codeOf(await execute())).toBe(code);
  expect(seen).toHaveLength(1);
});

function drip(response: ServerResponse): void {
  const more = (): void => void (response.destroyed || response.write('x'.repeat(1_000), more));
  more();
}

it('ends an agent that takes too long, and tells it so', async () => {
  const clock = new FakeClock();
  const posted = heard.promise;
  reply = () => undefined;
  const execution = execute({ clock });
  await posted;
  const farewell = heard.promise;
  await clock.advance(1_000);
  expect(codeOf(await execution)).toBe('NODE_TIMED_OUT');
  const { method, headers, body } = await farewell;
  expect({ method, body, id: headers['webhook-id'] }).toEqual({ method: 'DELETE', body: '', id: `tkt_${ulid}-4` });
  expect(clock.pendingTimers).toBe(0);
});

it.each([
  ['revoked', ['POST', 'DELETE']],
  ['fenced', ['POST']],
] as const)('of a ticket that was %s the agent hears %j', async (reason, methods) => {
  const given = new AbortController();
  const posted = heard.promise;
  reply = () => undefined;
  const execution = execute({ signal: given.signal });
  await posted;
  given.abort(reason);
  expect(await execution).toEqual({ kind: 'aborted' });
  expect(seen.map(({ method }) => method)).toEqual(methods);
});
