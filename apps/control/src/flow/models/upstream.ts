import { HiveError, type JsonObject } from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import { createParser } from 'eventsource-parser';
import type { ModelLimits, Provider } from './catalogue.ts';
import { type Dialect, objectIn, type StreamEvent } from './dialects/index.ts';

/** What one try at a provider came to. */
export type Tried =
  | { readonly kind: 'answer'; readonly body: JsonObject; readonly text: string }
  | { readonly kind: 'stream'; readonly first: StreamEvent; readonly rest: AsyncIterator<StreamEvent> }
  /** The provider answered that the call is wrong: the caller's to see, as it was said. */
  | { readonly kind: 'refusal'; readonly status: number; readonly text: string }
  | ProviderFailure;

/** A try that gave no answer. */
export interface ProviderFailure {
  readonly kind: 'failure';
  readonly reason: string;
  readonly isTimeout: boolean;
  /** False where the same model would fail in the same way. */
  readonly isRetryable: boolean;
  readonly retryAfterMs?: number | undefined;
  /** The model may have worked, and the provider may charge for it. */
  readonly mayBeCharged: boolean;
}

/** One call to one provider. */
export interface Attempt {
  readonly dialect: Dialect;
  readonly body: JsonObject;
  /** Only those that the dialect's version and betas need; never the caller's credentials. */
  readonly headers: Readonly<Record<string, string>>;
  readonly isStream: boolean;
  readonly signal: AbortSignal;
}

/** A provider that can be called over HTTP. */
export interface Upstream {
  readonly provider: Exclude<Provider, { readonly kind: 'simulated' }>;
  readonly key: string | undefined;
  readonly limits: ModelLimits;
  readonly clock: Clock;
}

const refusals: readonly number[] = [400, 413, 422];
const hopeless: readonly number[] = [401, 402, 403, 404, 405];
const longestReason = 300;
/** Of Anthropic's API, for callers that name none. */
const usualVersion = '2023-06-01';

/** Ends a try when a limit is reached; each wait may be shorter than the whole. */
class Deadline implements Disposable {
  readonly #abort = new AbortController();
  readonly #whole;
  #wait: Disposable | undefined;
  readonly #clock: Clock;

  constructor(clock: Clock, wholeMs: number) {
    this.#clock = clock;
    this.#whole = clock.after(wholeMs, () => this.#cut('the whole answer'));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** From now on something must come within so long. */
  expect(what: string, withinMs: number): void {
    this.expectNothing();
    this.#wait = this.#clock.after(withinMs, () => this.#cut(what));
  }

  /** Nobody waits. */
  expectNothing(): void {
    this.#wait?.[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.expectNothing();
    this.#whole.cancel();
    // Whatever is still being sent is of no use to anybody: the provider's connection is freed.
    this.#abort.abort();
  }

  #cut(what: string): void {
    this.#abort.abort(new HiveError('MODEL_TIMED_OUT', `waited too long for ${what}`));
  }
}

/** Makes one try. Never throws but when the caller's signal aborts. */
export async function ask(upstream: Upstream, attempt: Attempt): Promise<Tried> {
  const deadline = new Deadline(upstream.clock, upstream.limits.answerMs);
  let isKept = false;
  try {
    if (attempt.isStream) deadline.expect('the first event', upstream.limits.firstEventMs);
    const response = await request(upstream, attempt, deadline.signal);
    const tried = await read(response, { upstream, attempt, deadline });
    attempt.signal.throwIfAborted();
    isKept = tried.kind === 'stream';
    return tried;
  } catch (error) {
    attempt.signal.throwIfAborted();
    const reason = deadline.signal.reason as unknown;
    return failure(HiveError.is(reason) ? reason : error, { mayBeCharged: false });
  } finally {
    if (!isKept) deadline[Symbol.dispose]();
  }
}

interface Reading {
  readonly upstream: Upstream;
  readonly attempt: Attempt;
  readonly deadline: Deadline;
}

async function read(response: Response, { upstream, attempt, deadline }: Reading): Promise<Tried> {
  if (response.status !== 200) return failed(response, upstream);
  const answer = attempt.isStream ? opened(response, deadline, upstream.limits) : whole(response, attempt.dialect, upstream.limits);
  // The model was at work already.
  return answer.catch((error: unknown) => failure(error, { mayBeCharged: true }));
}

function request({ provider, key }: Upstream, { dialect, body, headers, signal }: Attempt, deadline: AbortSignal): Promise<Response> {
  const credentials: Record<string, string> =
    key === undefined ? {} : provider.kind === 'anthropic' ? { 'x-api-key': key } : { authorization: `Bearer ${key}` };
  return fetch(`${provider.baseUrl.replace(/\/+$/, '')}${dialect.path}`, {
    method: 'POST',
    headers: {
      ...(provider.kind === 'anthropic' && { 'anthropic-version': usualVersion }),
      ...headers,
      'content-type': 'application/json',
      ...credentials,
    },
    body: JSON.stringify(body),
    // A provider that sends us elsewhere would have the key sent there.
    redirect: 'error',
    signal: AbortSignal.any([signal, deadline]),
  });
}

/** An answer that is whole, as text; more than the limit is not read. */
async function textOf(response: Response, answerBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let [text, bytes] = ['', 0];
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > answerBytes) throw new HiveError('MODEL_FAILED', `the answer is larger than ${answerBytes} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

async function whole(response: Response, dialect: Dialect, { answerBytes }: ModelLimits): Promise<Tried> {
  const text = await textOf(response, answerBytes);
  const body = objectIn(text);
  if (body === undefined || !dialect.isAnswer(body)) return failure('the answer is not what this API answers', { mayBeCharged: true });
  return { kind: 'answer', body, text };
}

async function failed(response: Response, { clock, key }: Upstream): Promise<Tried> {
  const text = await textOf(response, 65_536).catch(() => '');
  const told = key === undefined ? text : text.replaceAll(key, '…');
  if (refusals.includes(response.status) && objectIn(told) !== undefined) return { kind: 'refusal', status: response.status, text: told };
  return {
    ...failure(`HTTP ${response.status}: ${told}`, { mayBeCharged: false }),
    isRetryable: !hopeless.includes(response.status),
    retryAfterMs: retryAfterMs(response.headers, clock.nowMs()),
  };
}

/** What Retry-After says: seconds or a date; some providers say milliseconds in a header of their own. */
export function retryAfterMs(headers: Headers, nowMs: number): number | undefined {
  const precise = Number(headers.get('retry-after-ms') ?? Number.NaN);
  if (precise >= 0) return precise;
  const text = headers.get('retry-after');
  if (text === null) return undefined;
  const waitMs = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
}

async function opened(response: Response, deadline: Deadline, limits: ModelLimits): Promise<Tried> {
  if (!(response.headers.get('content-type') ?? '').startsWith('text/event-stream'))
    return failure('the answer is not a stream of events', { mayBeCharged: true });
  const events = eventsOf(response, deadline, limits);
  const first = await events.next();
  if (first.done === true) return failure('the stream ended before its first event', { mayBeCharged: true });
  return { kind: 'stream', first: first.value, rest: events };
}

/** The events of a stream, until it ends, is too slow or too long. Whoever stops reading frees the connection. */
async function* eventsOf(response: Response, deadline: Deadline, { answerBytes, idleMs }: ModelLimits): AsyncGenerator<StreamEvent> {
  using stack = new DisposableStack();
  stack.use(deadline);
  const ready: StreamEvent[] = [];
  const parser = createParser({ onEvent: ({ event, data }) => void ready.push({ event, data }) });
  const decoder = new TextDecoder();
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > answerBytes) throw new HiveError('MODEL_FAILED', `the answer is larger than ${answerBytes} bytes`);
    parser.feed(decoder.decode(chunk, { stream: true }));
    // Events count, not bytes: one that drips is as slow as one that does not come. Time that the caller takes does not count.
    if (ready.length === 0) continue;
    deadline.expectNothing();
    for (let next = ready.shift(); next !== undefined; next = ready.shift()) yield next;
    deadline.expect('the next event', idleMs);
  }
}

/** Stops reading a stream, whose connection is freed. How that connection ends is of no interest to anybody. */
export async function letGo(events: AsyncIterator<StreamEvent>): Promise<void> {
  await events.return?.().catch(() => undefined);
}

/** A failure in one line. */
export function failure(why: unknown, { mayBeCharged }: Pick<ProviderFailure, 'mayBeCharged'>): ProviderFailure {
  return {
    kind: 'failure',
    reason: textOfReason(why).slice(0, longestReason),
    isTimeout: HiveError.is(why) && why.code === 'MODEL_TIMED_OUT',
    isRetryable: true,
    mayBeCharged,
  };
}

// fetch says "fetch failed", and why in its cause.
function textOfReason(why: unknown): string {
  if (!(why instanceof Error)) return String(why);
  return why.cause instanceof Error ? textOfReason(why.cause) : why.message;
}
