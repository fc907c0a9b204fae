import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { guardLeaks } from './leak-guard.ts';

guardLeaks();

describe('a fault proxy', () => {
  let echo: Server;
  let proxy: FaultProxy;
  let received: number;
  let sockets: Socket[];

  beforeEach(async () => {
    received = 0;
    sockets = [];
    echo = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.push(socket);
      socket.on('error', () => {}).on('data', (bytes) => (received += bytes.length));
      socket.pipe(socket);
    });
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
    proxy = await startFaultProxy({ targetHost: '127.0.0.1', targetPort: (echo.address() as AddressInfo).port });
  });

  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await proxy.stop();
    const closed = once(echo, 'close');
    echo.close();
    await closed;
  });

  async function open(): Promise<Socket> {
    const socket = connect({ host: proxy.host, port: proxy.port });
    sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  }

  async function roundTrip(socket: Socket, text: string): Promise<string> {
    socket.write(text);
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    return bytes.toString();
  }

  const failure = async (socket: Socket): Promise<unknown> => {
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    return error.code;
  };

  it('passes bytes both ways, unchanged, and the end of each direction apart', async () => {
    const socket = await open();
    const sent = Buffer.alloc(3_000_000, 'abcdefg');
    socket.end(sent);
    expect((await buffer(socket)).equals(sent)).toBe(true);
    expect(proxy.counters).toMatchObject({ connections: 1, forwardedBytes: 6_000_000, delayedPieces: 0, heldPieces: 0, resets: 0 });
  });

  it('delays each direction, keeps the order, and counts what it delayed', async () => {
    proxy.set({ kind: 'latency', delayMs: 40 });
    const socket = await open();
    const startedAtMs = performance.now();
    expect(await roundTrip(socket, 'slow')).toBe('slow');
    expect(performance.now() - startedAtMs).toBeGreaterThanOrEqual(78);
    expect(proxy.counters.delayedPieces).toBe(2);
    for (const letter of 'abc') socket.write(letter);
    socket.end();
    expect((await buffer(socket)).toString()).toBe('abc');
  });

  it('delays the pieces of a stream side by side, not one after the other', async () => {
    const socket = await open();
    proxy.set({ kind: 'latency', delayMs: 100 });
    const startedAtMs = performance.now();
    socket.end(Buffer.alloc(1_000_000));
    expect(await buffer(socket)).toHaveLength(1_000_000);
    expect(proxy.counters.delayedPieces).toBeGreaterThan(10);
    expect(performance.now() - startedAtMs).toBeLessThan((100 * proxy.counters.delayedPieces) / 2);
  });

  it('holds everything in a black hole, on old and new connections, and lets it flow when the network heals', async () => {
    const socket = await open();
    expect(await roundTrip(socket, 'before')).toBe('before');
    proxy.set({ kind: 'blackHole' });
    const receivedBefore = received;
    const late = await open();
    socket.write('held');
    late.write('also held');
    await expect.poll(() => proxy.counters.heldPieces, { interval: 1 }).toBe(2);
    expect(received).toBe(receivedBefore);
    const answers = [once(socket, 'data'), once(late, 'data')];
    proxy.set({ kind: 'pass' });
    expect((await Promise.all(answers)).map(([bytes]) => String(bytes))).toEqual(['held', 'also held']);
  });

  it('resets every connection there is and every new one, until it is told otherwise', async () => {
    const socket = await open();
    const fault = failure(socket);
    proxy.set({ kind: 'reset' });
    expect(await fault).toBe('ECONNRESET');
    const next = connect({ host: proxy.host, port: proxy.port });
    sockets.push(next);
    expect(await failure(next)).toBe('ECONNRESET');
    expect(proxy.counters.resets).toBe(2);
    proxy.set({ kind: 'pass' });
    expect(await roundTrip(await open(), 'again')).toBe('again');
  });

  it('resets a connection after exactly that many bytes, each connection for itself', async () => {
    proxy.set({ kind: 'resetAfterBytes', bytes: 10 });
    for (let count = 0; count < 2; count += 1) {
      const receivedBefore = received;
      const socket = await open();
      const fault = failure(socket);
      socket.write('0123456789 and more');
      expect(await fault).toBe('ECONNRESET');
      await expect.poll(() => received - receivedBefore, { interval: 1 }).toBeLessThanOrEqual(10);
    }
    expect(proxy.counters).toMatchObject({ connections: 2, forwardedBytes: 20, resets: 2 });
  });

  it('counts the bytes of both directions and from the moment the mode was set', async () => {
    const socket = await open();
    await roundTrip(socket, 'not counted');
    proxy.set({ kind: 'resetAfterBytes', bytes: 9 });
    const forwardedBefore = proxy.counters.forwardedBytes;
    expect(await roundTrip(socket, 'abc')).toBe('abc');
    const fault = failure(socket);
    socket.write('defgh');
    expect(await fault).toBe('ECONNRESET');
    expect(proxy.counters.forwardedBytes - forwardedBefore).toBe(9);
  });

  it('resets the client when nobody listens behind it', async () => {
    const closed = once(echo, 'close');
    echo.close();
    await closed;
    const socket = connect({ host: proxy.host, port: proxy.port });
    sockets.push(socket);
    expect(await failure(socket)).toBe('ECONNRESET');
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
  });

  it('resets the client in mode reset also where nobody listens behind it', async () => {
    const { port } = echo.address() as AddressInfo;
    const closed = once(echo, 'close');
    echo.close();
    await closed;
    proxy.set({ kind: 'reset' });
    const socket = connect({ host: proxy.host, port: proxy.port });
    sockets.push(socket);
    expect(await failure(socket)).toBe('ECONNRESET');
    // Its own attempt to reach the server fails a moment later, and nobody may be hurt by that.
    await once(connect({ host: '127.0.0.1', port }), 'error');
    echo.listen(0, '127.0.0.1');
    await once(echo, 'listening');
  });

  it('stops in the middle of a black hole and leaves nothing open', async () => {
    proxy.set({ kind: 'blackHole' });
    const socket = await open();
    socket.on('error', () => {});
    socket.write('held');
    await expect.poll(() => proxy.counters.heldPieces, { interval: 1 }).toBe(1);
    const closed = once(socket, 'close');
    await proxy.stop();
    await closed;
    proxy = await startFaultProxy({ targetHost: '127.0.0.1', targetPort: 1 });
  });
});
