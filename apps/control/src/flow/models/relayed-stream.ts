import { type ErrorCode, errorCatalogue, HiveError, type ModelOutcome } from '@hivekeeper/contract';
import type { Account } from './account.ts';
import type { Dialect, ReadEvent, StreamEvent } from './dialects/index.ts';
import { letGo } from './upstream.ts';
import { type Usage, writtenCharacters } from './usage.ts';

/** What {@link relayed} needs. */
export interface RelayOptions {
  readonly first: StreamEvent;
  readonly rest: AsyncIterator<StreamEvent>;
  readonly dialect: Dialect;
  readonly read: ReadEvent;
  readonly account: Account;
  /** Told once whether the model did well; undefined where the caller hung up. */
  readonly note: (verdict: { readonly failure?: string } | undefined) => void;
  readonly signal: AbortSignal;
}

/**
 * A provider's stream as the caller gets it. One that breaks off ends with an event that the caller's client takes for an error, never
 * as if it were whole.
 */
export function relayed(options: RelayOptions): AsyncGenerator<string> {
  const tally = new Tally(options);
  // Here and not in the generator: of one that nobody began to read, nothing runs.
  const hangUp = () => {
    tally.close('aborted');
    void letGo(options.rest);
  };
  if (options.signal.aborted) hangUp();
  else options.signal.addEventListener('abort', hangUp, { once: true });
  return framesOf(options, tally);
}

async function* framesOf(options: RelayOptions, tally: Tally): AsyncGenerator<string> {
  const { rest, dialect } = options;
  let broke: ErrorCode = 'MODEL_STREAM_CUT';
  try {
    try {
      for await (const event of eventsFrom(options)) {
        const forward = tally.take(event);
        if (tally.isOver) tally.close(tally.outcome);
        if (forward !== undefined) yield frameOf(forward);
        if (tally.isOver) return;
      }
    } catch (error) {
      if (HiveError.is(error) && error.code === 'MODEL_TIMED_OUT') broke = error.code;
    }
    tally.close('cut');
    yield frameOf(failureOf(dialect, broke));
  } finally {
    // Open still only where the reader left in the middle.
    tally.close('aborted');
    await letGo(rest);
  }
}

/** Adds up a stream. */
class Tally {
  readonly #options: RelayOptions;
  #usage: Usage | undefined;
  #receivedCharacters = 0;
  #isClosed = false;
  outcome: ModelOutcome = 'cut';
  isOver = false;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** What the caller gets of the event. */
  take(event: StreamEvent): StreamEvent | undefined {
    const { forward, usage, isEnd, isError } = this.#options.read(event);
    this.#usage = usage ?? this.#usage;
    this.#receivedCharacters += writtenCharacters(event.data);
    this.isOver = isEnd || isError;
    if (isEnd && !isError) this.outcome = 'answered';
    // What is no event of this API is told as one that is: a failure.
    return isError && forward === undefined ? failureOf(this.#options.dialect, 'MODEL_STREAM_CUT') : forward;
  }

  close(outcome: ModelOutcome): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { account, note } = this.#options;
    account.end({
      ...(outcome !== 'answered' && { failure: outcome }),
      usage: this.#usage,
      receivedCharacters: this.#receivedCharacters,
    });
    account.close(outcome);
    note(outcome === 'aborted' ? undefined : outcome === 'answered' ? {} : { failure: `the stream was ${outcome}` });
  }
}

async function* eventsFrom({ first, rest }: RelayOptions): AsyncGenerator<StreamEvent> {
  yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

const failureOf = (dialect: Dialect, code: ErrorCode): StreamEvent => dialect.failure(code, errorCatalogue[code].cause);

const frameOf = ({ event, data }: StreamEvent): string =>
  `${event === undefined ? '' : `event: ${event}\n`}${data
    .split('\n')
    .map((line) => `data: ${line}\n`)
    .join('')}\n`;
