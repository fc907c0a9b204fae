import { type Broker, callBroker } from './call.ts';
import { filtersOf, type MonitorFormat, type MonitorMode, sightingOf, sightingText } from './sighting.ts';

/** What a person wants to see. */
export interface MonitorOptions extends Broker {
  readonly mode: MonitorMode;
  readonly format: MonitorFormat;
  readonly agent?: string;
  readonly conversation?: string;
  /** Only messages whose topic or payload holds this text. */
  readonly text?: string | undefined;
  readonly say: (line: string) => void;
  /** Ends it. */
  readonly stopped: Promise<unknown>;
}

/** Shows what goes over a broker until it is stopped. */
export async function monitor({ mode, format, text, say, stopped, ...options }: MonitorOptions): Promise<void> {
  const subscriptions = filtersOf(mode, options).map((filter) => ({
    ...{ filter, qos: 1 as const, wantsRetained: true },
    take: ({ topic, payload }: { readonly topic: string; readonly payload: Uint8Array }) => {
      const isWanted = text === undefined || topic.includes(text) || Buffer.from(payload).includes(text);
      if (isWanted) say(sightingText(sightingOf(topic, payload, options.clock.nowMs()), format));
    },
  }));
  const bus = await callBroker(options, subscriptions);
  await stopped;
  await bus.close({ endsSession: true });
}
