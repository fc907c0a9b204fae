import { EventEmitter, once } from 'node:events';
import { Socket } from 'node:net';
import { connectAsync, type MqttClient } from 'mqtt';

/** A message that was seen on the broker. */
export interface Seen {
  readonly topic: string;
  readonly text: string;
  readonly qos: number;
  readonly isRetained: boolean;
}

/** Somebody on the broker who hears everything, with a client that is not the product's. */
export interface Line extends AsyncDisposable {
  readonly client: MqttClient;
  readonly seen: Seen[];
  /** The first message, of those seen and of those to come, that passes. */
  first(passes: (message: Seen) => boolean): Promise<Seen>;
  /** Resolves when so many messages passed. */
  count(passes: (message: Seen) => boolean, atLeast: number): Promise<void>;
}

/** Listens on a broker. */
export async function listen(url: string, filters: readonly string[] = ['/#'], protocolVersion: 4 | 5 = 5): Promise<Line> {
  const client = await connectAsync(url, { protocolVersion, reconnectPeriod: 50, resubscribe: true, connectTimeout: 5_000 });
  if (client.stream instanceof Socket) client.stream.setNoDelay(true);
  const seen: Seen[] = [];
  const news = new EventEmitter();
  client.on('error', () => {});
  client.on('message', (topic, payload, { qos, retain }) => {
    seen.push({ topic, text: payload.toString(), qos, isRetained: retain });
    news.emit('message');
  });
  await client.subscribeAsync([...filters], { qos: 1 });
  const count = async (passes: (message: Seen) => boolean, atLeast: number) => {
    let looked = 0;
    for (let passed = 0; ;) {
      for (; looked < seen.length; looked += 1) if (passes(seen[looked] as Seen)) passed += 1;
      if (passed >= atLeast) return;
      await once(news, 'message');
    }
  };
  return {
    ...{ client, seen, count },
    first: async (passes) => {
      await count(passes, 1);
      return seen.find(passes) as Seen;
    },
    [Symbol.asyncDispose]: () => client.endAsync(true),
  };
}

/** On that topic. */
export const on =
  (topic: string) =>
  (message: Seen): boolean =>
    message.topic === topic;
