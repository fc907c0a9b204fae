import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type ClientOptions, type StreamedEvent, createClient } from './index.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

async function serve(answer: (response: ServerResponse, seen: Seen, ordinal: number) => void) {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      const call = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, body };
      answer(response, call, seen.push(call));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { seen, url, client: (options: Partial<ClientOptions> = {}) => createClient({ url, pause: immediately, ...options }) };
}

// Reconnects at once, and never finds a connection too silent.
const immediately: NonNullable<ClientOptions['pause']> = (delayMs) => (delayMs < 60_000 ? Promise.resolve() : new Promise(() => undefined));

const json = (response: ServerResponse, status: number, body: unknown) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const frame = (id: string | undefined, event: object) => `${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(event)}\n\n`;
async function collect(events: AsyncIterable<StreamedEvent>) {
  const seen: unknown[] = [];
  for await (const { id, event } of events) seen.push([id, event.type]);
  return seen;
}

describe('a call', () => {
  it('carries the token, the idempotency key and the body, and gives the answer', async () => {
    const { client, seen } = await serve((response) => json(response, 201, { id: 'run_1', status: 'PENDING' }));
    const run = await client({ token: 'secret' }).startRun('repo review', { context: { target: '/repo' } }, { idempotencyKey: 'k-1' });
    expect(run).toEqual({ id: 'run_1', status: 'PENDING' });
    expect(seen[0]).toMatchObject({
      method: 'POST',
      url: '/v1/workflows/repo%20review/runs',
      body: '{"context":{"target":"/repo"}}',
      headers: { authorization: 'Bearer secret', 'idempotency-key': 'k-1', 'content-type': 'application/json' },
    });
  });

  it('sends only the query fields that are set', async () => {
    const { client, seen } = await serve((response) => json(response, 200, []));
    await client().listRuns({ status: 'FAILED', limit: 3 });
    expect(seen[0]?.url).toBe('/v1/runs?status=FAILED&limit=3');
  });

  it.each<[string, string, unknown, (client: ReturnType<typeof createClient>) => Promise<unknown>]>([
    ['POST', '/v1/runs/r%201/cancel', { reason: 'x' }, (client) => client.cancelRun('r 1', 'x')],
    ['POST', '/v1/runs/r/pause', {}, (client) => client.pauseRun('r')],
    ['POST', '/v1/runs/r/resume', { reason: 'x' }, (client) => client.resumeRun('r', 'x')],
    ['POST', '/v1/runs/r/priority', { priority: 7 }, (client) => client.reprioritiseRun('r', { priority: 7 })],
    ['POST', '/v1/runs/r/signals', { name: 'go', payload: 1 }, (client) => client.signalRun('r', { name: 'go', payload: 1 })],
    ['POST', '/v1/runs/r/retry', { from: 'failed' }, (client) => client.retryRun('r', { from: 'failed' })],
    ['POST', '/v1/runs/r/fork', { nodeId: 'n' }, (client) => client.forkRun('r', { nodeId: 'n' })],
    ['POST', '/v1/runs/bulk', { verb: 'pause', filter: {} }, (client) => client.orderRuns({ verb: 'pause', filter: {} })],
    ['GET', '/v1/dead?state=all&limit=3', '', (client) => client.deadTickets({ state: 'all', limit: 3 })],
    ['GET', '/v1/dead/t', '', (client) => client.deadTicket('t')],
    ['POST', '/v1/dead/t/redrive', {}, (client) => client.redriveTicket('t')],
    ['GET', '/v1/budgets', '', (client) => client.budgets()],
    [
      'PUT',
      '/v1/budgets',
      { scope: 'tenant', period: 'day', capMicroUsd: 1 },
      (client) => client.setBudget({ scope: 'tenant', period: 'day', capMicroUsd: 1 }),
    ],
    ['DELETE', '/v1/budgets/bud_1', '', (client) => client.removeBudget('bud_1')],
    ['GET', '/v1/keys', '', (client) => client.keys()],
    ['POST', '/v1/keys', { name: 'ci', role: 'operator' }, (client) => client.createKey({ name: 'ci', role: 'operator' })],
    ['POST', '/v1/keys/key_1/rotate', { overlapMs: 0 }, (client) => client.rotateKey('key_1', { overlapMs: 0 })],
    ['DELETE', '/v1/keys/key_1', '', (client) => client.revokeKey('key_1')],
    ['GET', '/v1/breakers', '', (client) => client.breakers()],
    [
      'PUT',
      '/v1/breakers/agents/2%2Fscan',
      { state: 'closed' },
      (client) => client.setBreaker({ kind: 'agent', name: '2/scan' }, { state: 'closed' }),
    ],
    ['POST', '/v1/dead/t/discard', { reason: 'x' }, (client) => client.discardTicket('t', 'x')],
    ['GET', '/v1/approvals/a', '', (client) => client.approval('a')],
    ['POST', '/v1/approvals/a/links', {}, (client) => client.linkApproval('a')],
  ])('%s %s carries what it was told', async (method, url, ...[body, send]) => {
    const { client, seen } = await serve((response) => json(response, 200, { ok: true }));
    expect(await send(client())).toEqual({ ok: true });
    expect(seen).toMatchObject([{ method, url, body: body === '' ? '' : JSON.stringify(body) }]);
    expect(seen[0]?.headers['idempotency-key']).toBeUndefined();
  });

  it.each<[string, (client: ReturnType<typeof createClient>) => Promise<unknown>]>([
    ['a signal', (client) => client.signalRun('r', { name: 'go' }, { idempotencyKey: 'k' })],
    ['a retry', (client) => client.retryRun('r', {}, { idempotencyKey: 'k' })],
    ['a fork', (client) => client.forkRun('r', { nodeId: 'n' }, { idempotencyKey: 'k' })],
  ])('%s carries its idempotency key', async (_, send) => {
    const { client, seen } = await serve((response) => json(response, 200, {}));
    await send(client());
    expect(seen[0]?.headers['idempotency-key']).toBe('k');
  });

  it('takes an empty answer for nothing', async () => {
    const { client } = await serve((response) => response.writeHead(204).end());
    expect(await client().removeAgent('a')).toBeUndefined();
  });

  it('turns an error answer into the same HiveError, issues included', async () => {
    const issues = [{ path: '/nodes/0/needs/0', message: 'no such node' }];
    const { client } = await serve((response) =>
      json(response, 422, { error: { code: 'WORKFLOW_INVALID', message: 'one fault', remedy: 'r', issues } }),
    );
    await expect(client().deployWorkflow({ name: 'w', nodes: [] })).rejects.toMatchObject({
      name: 'HiveError',
      code: 'WORKFLOW_INVALID',
      message: 'one fault',
      issues,
    });
  });

  it('keeps the code of a newer server in the message', async () => {
    const { client } = await serve((response) => json(response, 500, { error: { code: 'FROM_THE_FUTURE', message: 'm', remedy: 'r' } }));
    await expect(client().status()).rejects.toMatchObject({ code: 'INTERNAL', message: 'FROM_THE_FUTURE: m' });
  });

  it.each([
    [502, 'UNREACHABLE'],
    [418, 'INTERNAL'],
  ])('makes HTTP %i without our body %s', async (status, code) => {
    const { client } = await serve((response) => response.writeHead(status).end('<html>'));
    await expect(client().status()).rejects.toMatchObject({ code });
  });

  it('says UNREACHABLE, with the reason, where nobody listens', async () => {
    const { url } = await serve(() => undefined);
    await Promise.all(closers.splice(0).map((close) => close()));
    await expect(createClient({ url }).status()).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  it('says UNREACHABLE where the server accepts and never answers', async () => {
    const { client } = await serve(() => undefined);
    await expect(client({ timeoutMs: 50 }).status()).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('gives the caller its own reason back when it aborts', async () => {
    const abort = new AbortController();
    const { client } = await serve(() => abort.abort('enough'));
    await expect(client().worker.poll({ workerId: 'wrk_1' as never, credits: 1, held: [], waitMs: 10 }, abort.signal)).rejects.toBe(
      'enough',
    );
  });

  it('refuses an address that is none', async () => {
    await expect(createClient({ url: 'here' }).status()).rejects.toMatchObject({ code: 'CONFIGURATION_INVALID' });
  });
});

describe('the event stream of a run', () => {
  const finished = { type: 'run.finished', atMs: 3, status: 'SUCCESS' };

  it('gives each event and ends after run.finished, also where the server keeps the connection', async () => {
    const { client } = await serve((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(
        `: hello\n\n${frame('1.0', { type: 'run.started', atMs: 1 })}${frame(undefined, { type: 'node.started', atMs: 2 })}${frame('2.0', finished)}`,
      );
    });
    expect(await collect(client().events('run_1'))).toEqual([
      ['1.0', 'run.started'],
      [undefined, 'node.started'],
      ['2.0', 'run.finished'],
    ]);
  });

  it('continues a broken connection after the last event it saw', async () => {
    const { client, seen } = await serve((response, _seen, ordinal) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      if (ordinal === 1) response.write(frame('1.0', { type: 'run.started', atMs: 1 }), () => response.destroy());
      else if (ordinal === 2) response.end();
      else response.end(frame('2.0', finished));
    });
    expect(await collect(client().events('run_1'))).toEqual([
      ['1.0', 'run.started'],
      ['2.0', 'run.finished'],
    ]);
    expect(seen.map((call) => call.headers['last-event-id'])).toEqual([undefined, '1.0', '1.0']);
  });

  it('goes on after the last numbered event where the server says that the stream ends before the run', async () => {
    const progress = { type: 'attempt.progressed', atMs: 2, nodeId: 'a', slot: 0, attempt: 1, ticketId: 'tkt_1', progress: 1 };
    const { client, seen } = await serve((response, _seen, ordinal) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      if (ordinal > 1) return void response.end(frame('2.0', finished));
      const started = { type: 'run.started', atMs: 1 };
      // Kept open: that it ends is told by the event.
      const ended = { type: 'stream.ended', atMs: 3, reason: 'unread' };
      response.write(frame('1.0', started) + frame(undefined, progress) + frame(undefined, ended));
    });
    expect(await collect(client().events('run_1'))).toEqual([
      ['1.0', 'run.started'],
      [undefined, 'attempt.progressed'],
      ['2.0', 'run.finished'],
    ]);
    expect(seen.map((call) => call.headers['last-event-id'])).toEqual([undefined, '1.0']);
  });

  it('reconnects where the connection falls silent', async () => {
    const { client } = await serve((response, _seen, ordinal) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      if (ordinal === 1) response.flushHeaders();
      else response.end(frame('1.0', finished));
    });
    let silences = 0;
    const pause = (delayMs: number) => (delayMs < 60_000 || ++silences === 2 ? Promise.resolve() : immediately(delayMs));
    expect(await collect(client({ pause }).events('run_1'))).toEqual([['1.0', 'run.finished']]);
  });

  it('tells a refusal at once', async () => {
    const { client, seen } = await serve((response) =>
      json(response, 404, { error: { code: 'NOT_FOUND', message: 'no run', remedy: 'r' } }),
    );
    await expect(collect(client().events('run_1'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(seen).toHaveLength(1);
  });

  it('gives up on a stream that ends again and again without an event', async () => {
    const { client, seen } = await serve((response) => response.writeHead(200, { 'content-type': 'text/event-stream' }).end());
    await expect(collect(client().events('run_1'))).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(seen).toHaveLength(31);
  });

  it('ends without an error when its reader aborts', async () => {
    const abort = new AbortController();
    const { client } = await serve((response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(frame('1.0', { type: 'run.started', atMs: 1 }));
    });
    const types: string[] = [];
    for await (const { event } of client().events('run_1', { signal: abort.signal })) {
      types.push(event.type);
      abort.abort();
    }
    expect(types).toEqual(['run.started']);
  });
});
