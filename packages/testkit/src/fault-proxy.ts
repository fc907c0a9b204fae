import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

/**
 * What the proxy does with traffic, of connections that exist and of new ones.
 *
 *   pass             forwards
 *   latency          forwards each piece `delayMs` after it came, in order
 *   blackHole        forwards nothing and says nothing; what came meanwhile flows when another mode is set, as after a healed network
 *   reset            cuts every connection with a TCP reset
 *   resetAfterBytes  forwards that many bytes of each connection, both ways together, then cuts it
 */
export type FaultMode =
  | { readonly kind: 'pass' }
  | { readonly kind: 'latency'; readonly delayMs: number }
  | { readonly kind: 'blackHole' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'resetAfterBytes'; readonly bytes: number };

/** What took effect since the start: a fault that hit nothing proves nothing. */
export interface FaultProxyCounters {
  readonly connections: number;
  readonly forwardedBytes: number;
  readonly delayedPieces: number;
  readonly heldPieces: number;
  readonly resets: number;
}

/** A running proxy. */
export interface FaultProxy extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly counters: FaultProxyCounters;
  set(mode: FaultMode): void;
  stop(): Promise<void>;
}

/** A piece of a stream; its end; or that the socket is gone, with or without an error. */
interface Piece {
  readonly what: Buffer | 'end' | 'closed' | 'broken';
  readonly arrivedAtMs: number;
}

const maxQueuedPieces = 256;

/** Starts a proxy on a free port of loopback, in mode `pass`. */
export async function startFaultProxy(target: { readonly targetHost: string; readonly targetPort: number }): Promise<FaultProxy> {
  const proxy = new Proxy(target);
  await proxy.listen();
  return proxy;
}

class Proxy implements FaultProxy {
  readonly host = '127.0.0.1';
  readonly counters = { connections: 0, forwardedBytes: 0, delayedPieces: 0, heldPieces: 0, resets: 0 };
  readonly #target: { readonly targetHost: string; readonly targetPort: number };
  readonly #server: Server;
  readonly #links = new Set<Link>();
  #mode: FaultMode = { kind: 'pass' };
  // Aborted when the mode changes: whoever waits looks again.
  #modeEnded = new AbortController();

  constructor(target: { readonly targetHost: string; readonly targetPort: number }) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  async listen(): Promise<void> {
    this.#server.listen(0, this.host);
    await once(this.#server, 'listening');
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get mode(): FaultMode {
    return this.#mode;
  }

  get modeEnded(): AbortSignal {
    return this.#modeEnded.signal;
  }

  set(mode: FaultMode): void {
    this.#mode = mode;
    const ended = this.#modeEnded;
    this.#modeEnded = new AbortController();
    for (const link of this.#links) link.forwardedBytes = 0;
    ended.abort();
    if (mode.kind === 'reset') for (const link of this.#links) this.cut(link);
  }

  cut(link: Link): void {
    if (!this.#links.delete(link)) return;
    this.counters.resets += 1;
    link.client.resetAndDestroy();
    link.server.resetAndDestroy();
  }

  async stop(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#mode = { kind: 'pass' }; // so that nobody goes on waiting for another one
    for (const { client, server } of this.#links) {
      client.destroy();
      server.destroy();
    }
    this.#modeEnded.abort();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #accept(client: Socket): void {
    this.counters.connections += 1;
    const server = connect({ host: this.#target.targetHost, port: this.#target.targetPort, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    const link: Link = { client, server, forwardedBytes: 0 };
    this.#links.add(link);
    for (const socket of [client, server]) {
      socket.on('error', () => {}); // `close` follows and tells
      socket.once('close', () => client.destroyed && server.destroyed && this.#links.delete(link));
    }
    if (this.#mode.kind === 'reset') return this.cut(link);
    pump(this, link, [client, server]);
    pump(this, link, [server, client]);
  }
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  forwardedBytes: number;
}

/** Carries one direction of a link, piece by piece, in order. */
function pump(proxy: Proxy, link: Link, [from, to]: readonly [Socket, Socket]): void {
  const queue: Piece[] = [];
  let isBusy = false;
  const work = async () => {
    if (isBusy) return;
    isBusy = true;
    for (let piece = queue[0]; piece !== undefined; piece = queue[0]) {
      await permission(proxy, piece);
      queue.shift();
      if (to.destroyed) break;
      await forward(proxy, link, { to, piece });
      if (queue.length < maxQueuedPieces / 2) from.resume();
    }
    isBusy = false;
  };
  const push = (what: Piece['what']) => {
    queue.push({ what, arrivedAtMs: performance.now() });
    if (queue.length >= maxQueuedPieces) from.pause();
    void work();
  };
  from
    .on('data', (bytes: Buffer) => push(bytes))
    .on('end', () => push('end'))
    .on('close', (hadError) => push(hadError ? 'broken' : 'closed'));
}

/** Resolves when the mode of the moment lets the piece go. */
async function permission(proxy: Proxy, piece: Piece): Promise<void> {
  let isCounted = false;
  for (;;) {
    const { mode, modeEnded, counters } = proxy;
    if (mode.kind !== 'latency' && mode.kind !== 'blackHole') return;
    if (!isCounted) counters[mode.kind === 'latency' ? 'delayedPieces' : 'heldPieces'] += 1;
    isCounted = true;
    const leftMs = mode.kind === 'latency' ? piece.arrivedAtMs + mode.delayMs - performance.now() : Number.POSITIVE_INFINITY;
    if (leftMs <= 0) return;
    await untilEnd(modeEnded, leftMs);
  }
}

/** Until the signal, or for that long. */
async function untilEnd(signal: AbortSignal, mostMs: number): Promise<void> {
  if (signal.aborted) return;
  if (mostMs === Number.POSITIVE_INFINITY) await once(signal, 'abort');
  else await wait(mostMs, undefined, { signal }).catch(() => {});
}

async function forward(proxy: Proxy, link: Link, { to, piece }: { to: Socket; piece: Piece }): Promise<void> {
  const { what } = piece;
  if (what === 'end') return void to.end();
  if (what === 'closed') return void to.destroySoon();
  if (what === 'broken') return void to.resetAndDestroy();
  const { mode } = proxy;
  const allowed = mode.kind === 'resetAfterBytes' ? Math.max(0, mode.bytes - link.forwardedBytes) : what.length;
  const part = what.subarray(0, allowed);
  link.forwardedBytes += part.length;
  proxy.counters.forwardedBytes += part.length;
  // The reset waits until the system has the bytes before it; it may still overtake them on the way, as resets do.
  await new Promise<void>((resolve) => to.write(part, () => resolve()));
  if (mode.kind === 'resetAfterBytes' && link.forwardedBytes >= mode.bytes) proxy.cut(link);
}
