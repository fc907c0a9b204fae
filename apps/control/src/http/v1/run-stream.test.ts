import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { defaultTenantId, type RunId } from '@hivekeeper/contract';
import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import type { Watcher } from '../../flow/runs/index.ts';
import { deploy, poll, register, settle, start, workerId, workflow, workOnce } from '../testing/scenes.ts';

guardLeaks();

let door: Door;
let port: number;
let clock: FakeClock;
/** Those of a server that nobody calls. */
let idleTimers: number;
const sockets: Socket[] = [];
beforeEach(async () => {
  clock = new FakeClock();
  door = await openDoor({ clock, random: seededRandom(1) });
  await deploy(door);
  await register(door);
  await door.app.listen({ host: '127.0.0.1', port: 0 });
  port = (door.app.server.address() as AddressInfo).port;
  idleTimers = clock.pendingTimers;
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await door[Symbol.asyncDispose]();
});

/** Waits until so many streams and polls wait for something. */
async function timersToBe(count: number): Promise<void> {
  while (clock.pendingTimers !== idleTimers + count) await nextTurn();
}

const connectionCount = () => promisify(door.app.server.getConnections.bind(door.app.server))();
const idsIn = (text: string): string[] => [...text.matchAll(/^id: (.+)$/gm)].map((match) => match[1] as string);
const typesIn = (text: string): string[] => [...text.matchAll(/^event: (.+)$/gm)].map((match) => match[1] as string);

/** Sends a request over a connection of its own; gives it once the answer has begun to arrive. */
async function open(
  request: string,
): Promise<{ readonly socket: Socket; text(): string; until(part: string): Promise<void>; closed: Promise<unknown> }> {
  const socket = connect(port, '127.0.0.1');
  let seen = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => (seen += chunk));
  sockets.push(socket);
  const closed = once(socket, 'close');
  await once(socket, 'connect');
  socket.write(request);
  const until = async (part: string) => {
    while (!seen.includes(part)) await once(socket, 'data');
  };
  return { socket, text: () => seen, until, closed };
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${door.keys.admin}\r\n\r\n`;

describe('the event stream of a run', () => {
  it('is cut when the key that asked for it is revoked, within 5 s, and no other is', async () => {
    const runId = await start(door);
    const made = await door.services.keys.create({ tenantId: defaultTenantId, name: 'viewer', role: 'viewer', by: 'test' });
    const [stream, other] = [
      await open(get(`/v1/runs/${runId}/events`).replace(door.keys.admin, made.key)),
      await open(get(`/v1/runs/${runId}/events`)),
    ];
    await Promise.all([stream.until('event: '), other.until('event: ')]);
    await door.services.keys.revoke({ tenantId: defaultTenantId, id: made.id, by: 'test' });
    await clock.advance(5_000);
    await stream.closed;
    expect(other.socket.destroyed).toBe(false);
  });

  it('gives what happened and what happens, numbered, to the end', async () => {
    const id = await start(door);
    const stream = await open(get(`/v1/runs/${id}/events`));
    await stream.until('ticket.issued');
    await workOnce(door);
    await stream.until('run.finished');
    expect(stream.text()).toMatch(/content-type: text\/event-stream/i);
    expect(typesIn(stream.text())).toEqual(['run.started', 'node.started', 'ticket.issued', 'node.finished', 'run.finished']);
  });

  it('begins after the event named in the header or the query, without a gap or a repeat', async () => {
    const id = await start(door);
    await workOnce(door);
    const all = await door.call(`GET /v1/runs/${id}/events`);
    expect(all.status).toBe(200);
    const ids = idsIn(all.text);
    expect(new Set(ids).size).toBe(5);
    for (const [index, last] of ids.entries()) {
      expect(idsIn((await door.call(`GET /v1/runs/${id}/events`, { headers: { 'last-event-id': last } })).text)).toEqual(
        ids.slice(index + 1),
      );
      expect(idsIn((await door.call(`GET /v1/runs/${id}/events?lastEventId=${last}`)).text)).toEqual(ids.slice(index + 1));
    }
  });

  it('tells without a number what a running agent says of its progress, also to who comes later', async () => {
    const id = await start(door);
    const { tickets } = await poll(door);
    const [ticket] = tickets;
    const beat = (progress: object) =>
      door.call('POST /v1/worker/heartbeat', {
        key: door.keys.worker,
        body: { workerId, tickets: [{ ticketId: ticket?.ticketId, token: ticket?.token, progress }] },
      });
    const early = await open(get(`/v1/runs/${id}/events`));
    await early.until('ticket.issued');
    await beat({ done: 1 });
    await early.until('"progress":{"done":1}');
    await beat({ done: 1 });
    await beat({ done: 2 });
    await early.until('"progress":{"done":2}');
    const late = await open(get(`/v1/runs/${id}/events`));
    await late.until('"progress":{"done":2}');
    await settle(door, ticket!);
    await Promise.all([early.until('run.finished'), late.until('run.finished')]);
    const frame = /^event: attempt\.progressed\ndata: (.+)$/m.exec(late.text());
    expect(JSON.parse(frame?.[1] ?? '')).toEqual({
      type: 'attempt.progressed',
      atMs: clock.nowMs(),
      nodeId: 'scan',
      slot: 0,
      attempt: 1,
      ticketId: ticket?.ticketId,
      progress: { done: 2 },
    });
    expect(typesIn(early.text()).filter((type) => type === 'attempt.progressed')).toHaveLength(2);
    expect(typesIn(late.text()).filter((type) => type === 'attempt.progressed')).toHaveLength(1);
  });

  it('of a run that is not there is 404, and an id of another shape 400', async () => {
    expect(await door.call('GET /v1/runs/run_01JD0000000000000000000000/events')).toMatchObject({
      status: 404,
      body: { error: { code: 'NOT_FOUND' } },
    });
    const id = await start(door);
    expect(await door.call(`GET /v1/runs/${id}/events`, { headers: { 'last-event-id': 'x' } })).toMatchObject({
      status: 400,
      body: { error: { issues: [{ path: '/last-event-id' }] } },
    });
  });

  it('forgets its reader when that hangs up', async () => {
    const id = await start(door);
    const { runs } = door.services;
    const watch = runs.watch.bind(runs);
    let stopCount = 0;
    runs.watch = async (watching) => {
      const stop = await watch(watching);
      return () => ((stopCount += 1), stop());
    };
    const stream = await open(get(`/v1/runs/${id}/events`));
    await stream.until('ticket.issued');
    await timersToBe(1);
    stream.socket.destroy();
    await timersToBe(0);
    expect(stopCount).toBe(1);
    await workOnce(door);
    expect((await door.call(`GET /v1/runs/${id}`)).body.status).toBe('SUCCESS');
  });

  it('ends when the server closes, and so does a poll that waits', async () => {
    const id = await start(door);
    const { tickets } = await poll(door);
    const stream = await open(get(`/v1/runs/${id}/events`));
    await stream.until('ticket.issued');
    const body = JSON.stringify({
      workerId,
      credits: 0,
      held: tickets.map(({ ticketId, token }) => ({ ticketId, token })),
      waitMs: 30_000,
    });
    const waiting = await open(
      `POST /v1/worker/poll HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${door.keys.worker}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await timersToBe(2);
    await door.app.close();
    await Promise.all([stream.closed, waiting.closed]);
    expect(waiting.text()).toMatch(/^HTTP\/1\.1 200 [^]*\{"tickets":\[\],"revoked":\[\]\}$/);
    expect(typesIn(stream.text()).at(-1)).toBe('stream.ended');
    expect(stream.text()).toContain('"reason":"closing"');
    // That of the key ring, which outlives the server.
    expect(clock.pendingTimers).toBe(1);
  });
});

describe('a stream that is longer than what is kept for one reader', () => {
  const limitBytes = 4 * 1024 * 1024;

  /** A run of so many slots, each with an attempt that left as much behind as it may. */
  async function startLong(slotCount: number): Promise<string> {
    await deploy(door, workflow({ nodes: [{ id: 'scan', agent: 'scanner', map: '{{ context.items }}', retry: { maxAttempts: 2 } }] }));
    return start(door, { items: Array.from({ length: slotCount }, (_, index) => index) });
  }
  async function failSlots(count: number): Promise<void> {
    const error = { code: 'AGENT_FAILED', message: 'no', excerpt: 'x'.repeat(4_096) };
    const { tickets } = await poll(door, { credits: count });
    await Promise.all(
      tickets.map(({ ticketId, token }) => door.services.runs.settle({ workerId, ticketId, token, outcome: { ok: false, error } })),
    );
  }

  /** What a reader gets who comes back until the run's end. */
  async function partsOf(id: string, lastId = '0.0'): Promise<string[]> {
    const { text } = await door.call(`GET /v1/runs/${id}/events?lastEventId=${lastId}`);
    return text.includes('event: run.finished') ? [text] : [text, ...(await partsOf(id, idsIn(text).at(-1)))];
  }

  async function recordedIds(id: string): Promise<string[]> {
    const ids: string[] = [];
    const onNews: Watcher = (news) => ids.push(...news.flatMap((told) => told.id ?? []));
    (await door.services.runs.watch({ tenantId: defaultTenantId, runId: id as RunId, onNews }))();
    return ids;
  }

  it('comes in parts, each with an explicit end', async () => {
    const id = await startLong(1_000);
    await failSlots(1_000);
    await door.call(`POST /v1/runs/${id}/cancel`, { body: {} });
    const parts = await partsOf(id);
    expect(parts.length).toBeGreaterThan(1);
    for (const part of parts) expect(part.length).toBeLessThan(limitBytes + 10_000);
    for (const part of parts.slice(0, -1)) expect(part).toMatch(/event: stream\.ended\ndata: \{.*"reason":"unread"\}\n\n$/);
    expect(parts.flatMap(idsIn)).toEqual(await recordedIds(id));
  });

  it('is cut where nobody reads, and who comes back misses nothing', async () => {
    const id = await startLong(3_000);
    const stalled = await open(get(`/v1/runs/${id}/events`));
    await stalled.until('run.started');
    stalled.socket.pause();
    for (let round = 0; round < 3; round += 1) await failSlots(1_000);
    await door.call(`POST /v1/runs/${id}/cancel`, { body: {} });
    await clock.advance(10_000);
    while ((await connectionCount()) > 0) await nextTurn();
    stalled.socket.resume();
    await stalled.closed;
    const ids = idsIn(stalled.text().replaceAll(/\r\n[0-9a-f]+\r\n/g, ''));
    expect(stalled.text()).not.toContain('event: run.finished');
    // The last one may be torn.
    const whole = ids.slice(0, -1);
    expect([...whole, ...(await partsOf(id, whole.at(-1))).flatMap(idsIn)]).toEqual(await recordedIds(id));
  });
});
