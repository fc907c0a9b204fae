import { createParser } from 'eventsource-parser';
import type { AttemptProgress, InstanceChange, RunNotice, StreamEnded } from '@hivekeeper/contract';
import { HiveError } from '@hivekeeper/contract/hive-error';
import { type ClientOptions, type Pause, send, unreachable } from './call.ts';

/** One event of a run, or what a running attempt said. `id` continues a stream later; progress has none. */
export interface StreamedEvent {
  readonly id?: string;
  readonly event: RunNotice | AttemptProgress;
}

/** Where a stream begins and what ends it early. */
export interface StreamOptions {
  /** Only what came after this event. */
  readonly lastEventId?: string;
  /** Ends the stream without an error. */
  readonly signal?: AbortSignal;
}

// Thirty attempts with pauses up to 2 s: longer than a control plane takes to restart, short enough for a person who waits.
const maxFruitlessAttempts = 30;
const firstDelayMs = 100;
const lastDelayMs = 2_000;
// A server that is alive says something (at least a comment) twice in this time; silence is a dead connection.
const maxSilenceMs = 60_000;

/**
 * Follows a run to its end: ends after `run.finished`. A broken connection is resumed where it stopped; one that
 * cannot be made at all is an error at once. @throws HiveError UNREACHABLE, NOT_FOUND, UNAUTHENTICATED, FORBIDDEN.
 */
export const followRun = (options: ClientOptions, path: string, stream?: StreamOptions): AsyncGenerator<StreamedEvent, void> =>
  follow<StreamedEvent['event']>(options, path, { ...stream, isLast: ({ type }) => type === 'run.finished' });

/** Follows what becomes of instances until the signal aborts. Each connection begins with all there are. @throws as {@link followRun} */
export async function* followInstances(
  options: ClientOptions,
  path: string,
  stream?: Pick<StreamOptions, 'signal'>,
): AsyncGenerator<InstanceChange, void> {
  for await (const { event } of follow<InstanceChange>(options, path, { ...stream, isLast: () => false })) yield event;
}

interface Streamed<Event> {
  readonly id?: string;
  readonly event: Event;
}

interface FollowOptions<Event> extends StreamOptions {
  /** Nothing comes after it. */
  readonly isLast: (event: Event) => boolean;
}

async function* follow<Event extends { readonly type: string }>(
  options: ClientOptions,
  path: string,
  { lastEventId, signal = new AbortController().signal, isLast }: FollowOptions<Event>,
): AsyncGenerator<Streamed<Event>, void> {
  const connection: Connection = { ...options, pause: options.pause ?? defaultPause, path, signal, last: lastEventId, wasMade: false };
  for (let fruitless = 0; !signal.aborted; fruitless += 1) {
    let ending: unknown = unreachable(options.url, 'the event stream ends again and again');
    try {
      for await (const streamed of oneConnection<Event>(connection)) {
        fruitless = 0;
        yield streamed;
        if (isLast(streamed.event)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!connection.wasMade || !isPassing(error)) throw error;
      ending = error;
    }
    if (fruitless >= maxFruitlessAttempts) throw ending;
    await connection.pause(Math.min(firstDelayMs * 2 ** fruitless, lastDelayMs), signal);
  }
}

const isPassing = (error: unknown): boolean => HiveError.is(error) && error.entry.consequence === 'retry';

interface Connection extends ClientOptions {
  readonly pause: Pause;
  readonly path: string;
  readonly signal: AbortSignal;
  /** The id of the last event seen, over all connections. */
  last: string | undefined;
  /** True once the server has agreed to stream. */
  wasMade: boolean;
}

async function* oneConnection<Event extends { readonly type: string }>(connection: Connection): AsyncGenerator<Streamed<Event>, void> {
  const headers = { accept: 'text/event-stream', ...(connection.last !== undefined && { 'last-event-id': connection.last }) };
  const response = await withinSilence(() => send(connection, { path: connection.path, headers, signal: connection.signal }), connection);
  connection.wasMade = true;
  const arrived: Streamed<Event | StreamEnded>[] = [];
  const parser = createParser({ onEvent: ({ id, data }) => arrived.push({ ...(id !== undefined && { id }), event: JSON.parse(data) }) });
  for await (const text of textOf(response, connection)) {
    parser.feed(text);
    for (const { event, ...rest } of arrived.splice(0)) {
      // The server ends this connection, and the next goes on from here.
      if (isEnd(event)) return;
      connection.last = rest.id ?? connection.last;
      yield { ...rest, event };
    }
  }
}

const isEnd = (event: { readonly type: string }): event is StreamEnded => event.type === 'stream.ended';

async function* textOf(response: Response, connection: Connection): AsyncGenerator<string, void> {
  const reader = response.body?.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const chunk = await withinSilence(() => reader.read(), connection);
      if (chunk.done) return;
      yield chunk.value;
    }
  } catch (error) {
    throw HiveError.is(error) ? error : unreachable(connection.url, error);
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function withinSilence<T>(attempt: () => Promise<T>, { pause, url }: Connection): Promise<T> {
  const answered = new AbortController();
  const silence = pause(maxSilenceMs, answered.signal).then(() => {
    if (!answered.signal.aborted) throw unreachable(url, 'the connection fell silent');
    return new Promise<never>(() => undefined);
  });
  try {
    return await Promise.race([attempt(), silence]);
  } finally {
    answered.abort();
  }
}

const defaultPause: Pause = (delayMs, signal) =>
  new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    // eslint-disable-next-line no-restricted-globals -- the client's one timer: it may import no clock, and tests pass their own pause
    const handle = setTimeout(finish, delayMs);
    function finish(): void {
      clearTimeout(handle);
      signal?.removeEventListener('abort', finish);
      resolve();
    }
    signal?.addEventListener('abort', finish, { once: true });
  });
