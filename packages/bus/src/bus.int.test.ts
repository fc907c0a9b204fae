// @module-tag needs-mosquitto
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { systemClock, systemRandom } from '@hivekeeper/kernel';
import { guardLeaks, type Mosquitto, startFaultProxy, startMosquitto } from '@hivekeeper/testkit';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Bus, type BusEvent, type BusOptions, openBus } from './index.ts';

guardLeaks();

let broker: Mosquitto;
let names = 0;
beforeAll(async () => {
  broker = await startMosquitto();
});
afterAll(() => broker[Symbol.asyncDispose]());

interface OpenBus extends AsyncDisposable {
  readonly bus: Bus;
  readonly heard: string[];
  readonly events: BusEvent[];
  readonly ready: Promise<void>;
}

function open(options: Partial<BusOptions> = {}): OpenBus {
  const heard: string[] = [];
  const events: BusEvent[] = [];
  const { promise: ready, resolve } = Promise.withResolvers<void>();
  const bus = openBus({
    url: broker.url,
    clientId: `test-${(names += 1)}`,
    session: { expirySeconds: 60 },
    maximumPacketBytes: 262_144,
    subscriptions: [
      { filter: '/in/+', qos: 1, wantsRetained: true, take: ({ payload }) => void heard.push(Buffer.from(payload).toString()) },
    ],
    clock: systemClock,
    random: systemRandom,
    ...options,
    onEvent: (event) => {
      events.push(event);
      options.onEvent?.(event);
      if (event.kind === 'ready') resolve();
    },
  });
  return { bus, heard, events, ready, [Symbol.asyncDispose]: () => bus.close({ endsSession: true }) };
}
const message = (payload: string) => ({ topic: '/in/a', payload, qos: 1 as const });
const eventually = vi.waitFor.bind(vi);

describe('a bus', () => {
  it('carries a message to whoever listens', async () => {
    await using listener = open();
    await using speaker = open({ subscriptions: [] });
    await listener.ready;
    await speaker.bus.publish(message('hello'));
    await eventually(() => expect(listener.heard).toEqual(['hello']));
  });

  it('delivers again what could not be taken', async () => {
    const seen: string[] = [];
    const take = ({ payload }: { readonly payload: Uint8Array }) => {
      seen.push(Buffer.from(payload).toString());
      if (seen.length === 1) throw new RangeError('no room');
    };
    await using listener = open({ subscriptions: [{ filter: '/in/a', qos: 1, wantsRetained: false, take }] });
    await using speaker = open({ subscriptions: [] });
    await listener.ready;
    await speaker.bus.publish(message('again'));
    await eventually(() => expect(seen).toEqual(['again', 'again']), 5_000);
    expect(listener.events).toContainEqual({ kind: 'notTaken', topic: '/in/a', reason: 'no room' });
  });

  it('is closed when the connection breaks while it says goodbye, also where the broker owes an acknowledgement', async () => {
    await using proxy = await startFaultProxy({ targetHost: '127.0.0.1', targetPort: broker.port });
    const { bus, ready } = open({ url: `mqtt://127.0.0.1:${proxy.port}`, subscriptions: [] });
    await ready;
    proxy.set({ kind: 'blackHole' });
    void bus.publish(message('lost'));
    await eventually(() => expect(proxy.counters.heldPieces).toBe(1));
    const closed = bus.close({ endsSession: false });
    proxy.set({ kind: 'reset' });
    await closed;
  });

  it('comes back after the broker was killed with all it knew, listens again, and sends what was on its way', async () => {
    await using listener = open();
    await using speaker = open({ subscriptions: [] });
    await Promise.all([listener.ready, speaker.ready]);
    await broker.kill();
    await broker.forget();
    const sent = speaker.bus.publish(message('late'));
    await eventually(() => expect(listener.events.filter(({ kind }) => kind === 'lost').length).toBeGreaterThan(1), 5_000);
    await broker.start();
    await eventually(() => expect(listener.events.filter(({ kind }) => kind === 'ready')).toHaveLength(2), 5_000);
    await sent;
    await speaker.bus.publish(message('new'));
    await eventually(() => expect(listener.heard).toContain('new'), 5_000);
  });

  it('hears in the next process what came while nobody was there', async () => {
    const clientId = 'stays-the-same';
    const first = open({ clientId });
    await first.ready;
    await first.bus.close({ endsSession: false });
    await using speaker = open({ subscriptions: [] });
    await speaker.bus.publish(message('missed'));
    await using second = open({ clientId });
    await eventually(() => expect(second.heard).toEqual(['missed']), 5_000);
  });

  it('shares messages out, each to one of those who share', async () => {
    const heard: string[] = [];
    const shared = () =>
      open({
        subscriptions: [
          {
            filter: '/in/a',
            qos: 1,
            wantsRetained: false,
            sharedBy: 'us',
            take: ({ payload }) => void heard.push(Buffer.from(payload).toString()),
          },
        ],
      });
    await using one = shared();
    await using other = shared();
    await using speaker = open({ subscriptions: [] });
    await Promise.all([one.ready, other.ready]);
    const sent = Array.from({ length: 200 }, (_, index) => String(index));
    await Promise.all(sent.map((text) => speaker.bus.publish(message(text))));
    await eventually(() => expect(heard.toSorted()).toEqual(sent.toSorted()), 5_000);
    for (const { events } of [one, other]) expect(events.filter(({ kind }) => kind === 'received').length).toBeGreaterThan(0);
    await one.bus.unsubscribe();
    heard.length = 0;
    await Promise.all(sent.map((text) => speaker.bus.publish(message(text))));
    await eventually(() => expect(heard).toHaveLength(200), 5_000);
  });

  it('does not send what is larger than the broker takes, and goes on', async () => {
    await using small = await startMosquitto(['max_packet_size 1000']);
    await using listener = open({ url: small.url });
    await listener.ready;
    await expect(listener.bus.publish(message('x'.repeat(1_000)))).rejects.toThrow(/larger than the 1000 bytes/);
    await listener.bus.publish(message('fits'));
    await eventually(() => expect(listener.heard).toEqual(['fits']), 5_000);
    expect(listener.events.filter(({ kind }) => kind === 'lost')).toEqual([]);
  });

  it('speaks MQTT 3.1.1 where a broker knows no more, and says that nothing is shared out there', async () => {
    const protocols: number[] = [];
    const old = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (packet) => {
        const kind = packet[0]! >> 4;
        // CONNECT tells its protocol after the name "MQTT"; SUBSCRIBE its packet id.
        if (kind === 1) {
          protocols.push(packet[8]!);
          socket.write(Buffer.from([0x20, 2, 0, packet[8] === 4 ? 0 : 1]));
        }
        if (kind === 8) socket.write(Buffer.from([0x90, 3, packet[2]!, packet[3]!, 1]));
      });
    }).listen(0, '127.0.0.1');
    await once(old, 'listening');
    const url = `mqtt://127.0.0.1:${(old.address() as AddressInfo).port}`;
    const listener = open({ url });
    await listener.ready;
    expect(protocols).toEqual([5, 4]);
    expect(listener.events.at(-1)).toEqual({ kind: 'ready', isShared: false });
    await listener.bus.close({ endsSession: true });
    old.close();
  });

  it('has its will published when it is cut off, and not when it says goodbye', async () => {
    const willOf = (payload: string) => () => ({ topic: '/in/will', payload, qos: 1 as const });
    await using listener = open();
    await listener.ready;
    const polite = open({ will: willOf('polite'), subscriptions: [] });
    await polite.ready;
    await polite.bus.close({ endsSession: true });
    // Not to take what it was given ends a connection without a goodbye.
    const rude = open({
      will: willOf('rude'),
      subscriptions: [{ filter: '/rude', qos: 1, wantsRetained: false, take: () => Promise.reject(new RangeError('no')) }],
    });
    await rude.ready;
    await listener.bus.publish({ topic: '/rude', payload: '', qos: 1 });
    // It comes back, is given the same again, and is cut off again: as often as the machine is fast.
    await eventually(() => expect(listener.heard).toContain('rude'), 5_000);
    expect(listener.heard).not.toContain('polite');
    await rude.bus.close({ endsSession: true });
  });
});
