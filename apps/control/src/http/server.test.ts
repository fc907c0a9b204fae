import { HiveError } from '@hivekeeper/contract';
import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from './testing/door.ts';

guardLeaks();

let door: Door;
beforeEach(async () => {
  door = await openDoor({ clock: new FakeClock(), random: seededRandom(1) });
});
afterEach(() => door[Symbol.asyncDispose]());

describe('a caller', () => {
  it('comes in with its key in either header', async () => {
    expect((await door.call('GET /v1/agents')).status).toBe(200);
    expect((await door.call('GET /v1/agents', { key: null, headers: { 'x-api-key': door.keys.admin } })).status).toBe(200);
    expect((await door.call('GET /v1/agents', { key: null, headers: { authorization: `bearer ${door.keys.admin}` } })).status).toBe(200);
  });

  it('may make the worker calls as worker and as admin', async () => {
    const body = { workerId: 'wrk_01JD0000000000000000000000', name: 'w', capabilities: [], maxParallel: 1 };
    expect((await door.call('POST /v1/worker/register', { key: door.keys.worker, body })).status).toBe(204);
    expect((await door.call('POST /v1/worker/register', { key: door.keys.admin, body })).status).toBe(204);
  });

  it('is told the same of what is another tenant’s as of what is not there', async () => {
    await door.call('POST /v1/agents', { body: { entryPath: '/agents/scanner' } });
    const { body: workflow } = await door.call('POST /v1/workflows', {
      body: { name: 'review', nodes: [{ id: 'scan', agent: 'scanner' }] },
    });
    const { body: run } = await door.call('POST /v1/workflows/review/runs', {});
    const places = (runId: string, name: string, workflowId: string) => [
      `GET /v1/runs/${runId}`,
      `POST /v1/runs/${runId}/cancel`,
      `POST /v1/runs/${runId}/retry`,
      `GET /v1/runs/${runId}/events`,
      `GET /v1/why/${runId}`,
      `GET /v1/workflows/${name}`,
      `POST /v1/workflows/${name}/runs`,
      `GET /v1/workflows/${workflowId}`,
      `GET /api/workflows/${workflowId}`,
      `GET /api/workflows/${workflowId}/runs/${runId}`,
      `POST /api/workflows/runs/${runId}/retry`,
      `DELETE /api/workflows/${workflowId}`,
      `DELETE /v1/agents/scanner`,
    ];
    const absent = [run.id, workflow.id].map((id: string) => id.replace(/.$/, (last) => (last === '0' ? '1' : '0')));
    const foreign = await Promise.all(places(run.id, 'review', workflow.id).map((place) => door.call(place, { key: door.keys.foreign })));
    const missing = await Promise.all(
      places(absent[0] as string, 'review', absent[1] as string).map((place) => door.call(place, { key: door.keys.foreign })),
    );
    expect(foreign.map(({ status }) => status)).toEqual(foreign.map(() => 404));
    const told = ({ body }: { body: { error: { code: string; message: string } | string } }) =>
      JSON.stringify(body)
        .replaceAll(/(run|wfl)_[0-9A-Z]{26}/g, 'ID')
        .replaceAll(/"requestId":"[^"]*"/g, '');
    expect(foreign.map(told)).toEqual(missing.map(told));
    expect(
      await Promise.all(
        [
          'GET /v1/runs',
          'GET /v1/workflows',
          'GET /v1/agents',
          'GET /v1/approvals',
          'GET /api/workflows?projectId=1',
          'GET /api/agents?projectId=1',
          'GET /api/approvals',
        ].map(async (place) => (await door.call(place, { key: door.keys.foreign })).body),
      ),
    ).toEqual([[], [], [], [], [], [], []]);
  });
});

describe('an installation without authentication', () => {
  const openly = () => openDoor({ clock: new FakeClock(), random: seededRandom(1), authentication: 'none' });

  it.each(['localhost', 'localhost:9002', '127.0.0.1:1', '[::1]:9002', 'LOCALHOST:9002'])('serves the host %s', async (host) => {
    await using open = await openly();
    expect((await open.call('GET /v1/agents', { key: null, headers: { host } })).status).toBe(200);
  });

  it.each(['example.com', 'localhost.example.com', '127.0.0.1.example.com:9002', '127.0.0.2', 'localhost:', 'user@localhost'])(
    'refuses the host "%s", on probes and unknown routes too',
    async (host) => {
      await using open = await openly();
      for (const place of ['GET /v1/agents', 'GET /health', 'GET /nowhere']) {
        const { status, body } = await open.call(place, { key: null, headers: { host } });
        expect({ status, code: body.error.code }).toEqual({ status: 421, code: 'HOST_NOT_ALLOWED' });
      }
    },
  );

  it.each(['https://example.com', 'null', 'http://localhost.example.com', 'file://'])('refuses the origin %s', async (origin) => {
    await using open = await openly();
    expect((await open.call('POST /v1/workflows', { key: null, headers: { origin }, body: {} })).status).toBe(421);
  });

  it('serves a page of its own origin', async () => {
    await using open = await openly();
    expect((await open.call('GET /v1/agents', { key: null, headers: { origin: 'http://127.0.0.1:5173' } })).status).toBe(200);
  });
});

describe('a fault of ours', () => {
  it('is told without anything of the inside, and written down with the request’s id', async () => {
    Object.assign(door.services.workflows, { list: () => Promise.reject(new TypeError('secret table hive_internal')) });
    const { status, body, headers, text } = await door.call('GET /v1/workflows', { headers: { 'x-request-id': 'my-request.1' } });
    expect({ status, code: body.error.code, requestId: body.error.requestId }).toEqual({
      status: 500,
      code: 'INTERNAL',
      requestId: 'my-request.1',
    });
    expect(headers['x-request-id']).toBe('my-request.1');
    expect(text).not.toContain('secret');
    expect(door.logged.map((line) => JSON.parse(line))).toMatchObject([
      {
        level: 'error',
        requestId: 'my-request.1',
        route: '/v1/workflows',
        err: { message: expect.stringContaining('secret table hive_internal') },
      },
    ]);
  });

  it('is passing where the database is away: 503 with Retry-After, and no address of it', async () => {
    Object.assign(door.services.workflows, {
      list: () => Promise.reject(new HiveError('DATABASE_UNAVAILABLE', 'connect ECONNREFUSED 10.1.2.3:5432')),
    });
    const { status, body, headers, text } = await door.call('GET /v1/workflows');
    expect({ status, code: body.error.code, retryAfter: headers['retry-after'] }).toEqual({
      status: 503,
      code: 'DATABASE_UNAVAILABLE',
      retryAfter: '1',
    });
    expect(text).not.toContain('10.1.2.3');
  });

  it('gives a request an id of its own where the one sent could not be written down', async () => {
    expect((await door.call('GET /health', { headers: { 'x-request-id': 'a b"' } })).headers['x-request-id']).toMatch(/^req-/);
  });
});

describe('an address', () => {
  it('that is none is 404 as JSON, also with a broken body', async () => {
    const { status, body } = await door.call('POST /v1/nothing', { key: null, headers: { 'content-type': 'application/json' } });
    expect({ status, code: body.error.code }).toEqual({ status: 404, code: 'ROUTE_NOT_FOUND' });
    expect((await door.call('GET /api/nothing')).body).toMatchObject({ error: 'There is no such route.', code: 'ROUTE_NOT_FOUND' });
  });

  it('names its methods where another one was used', async () => {
    const { status, headers } = await door.call('DELETE /v1/workflows');
    expect({ status, allow: headers.allow }).toEqual({ status: 405, allow: 'GET, HEAD, POST' });
  });

  it('answers HEAD as GET, without the body', async () => {
    expect(await door.call('HEAD /health')).toMatchObject({ status: 200, text: '' });
  });
});

describe('a route', () => {
  it('that does not say who may call it stops the server from starting', async () => {
    const { default: Fastify } = await import('fastify');
    const { guard } = await import('./access.ts');
    const app = Fastify();
    guard(app, door.services, door.app.routeTable);
    expect(() => app.get('/v1/forgotten', async () => 'x')).toThrow('does not say who may call it');
    await app.close();
  });
});

describe('the page for people', () => {
  it('stands alone, says where the API is described and how to get in', async () => {
    const { status, text, headers } = await door.call('GET /', { key: null });
    expect(status).toBe(200);
    expect(text).toContain('href="/v1/openapi.json"');
    expect(text).toContain('Authorization: Bearer');
    expect(text).toContain('0.0.0-test');
    expect(text).not.toMatch(/<script|src=|https?:\/\//);
    expect(headers['content-security-policy']).toMatch(
      /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
    );
  });
});
