import { HiveError, type JsonObject } from '@hivekeeper/contract';
import { type Clock, type Log, pause } from '@hivekeeper/kernel';
import { Account } from './account.ts';
import { candidatesFor, type ModelsFile, type ModelTarget } from './catalogue.ts';
import { type Dialect, type DialectName, dialects, type StreamEvent } from './dialects/index.ts';
import type { ModelBudget, ModelCaller, ModelCallRecord } from './model-call.ts';
import { ModelHealth } from './model-health.ts';
import { type FailedTry, nextStep } from './next-step.ts';
import { mostCost } from './price.ts';
import { relayed } from './relayed-stream.ts';
import { Tally, type Tallied } from './tally.ts';
import { RetryBudget } from './retry-budget.ts';
import { writtenCharacters } from './usage.ts';
import { ask, type Attempt, failure, letGo, type ProviderFailure, type Tried } from './upstream.ts';

/** What a caller asks. */
export interface ModelQuestion {
  readonly dialect: DialectName;
  /** As it came; `model` names a class or a model of the file. */
  readonly body: JsonObject & { readonly model: string };
  readonly headers: Readonly<Record<string, string>>;
  readonly caller: ModelCaller;
  /** Aborts when the caller hangs up. */
  readonly signal: AbortSignal;
}

/** What it gets. */
export interface ModelAnswer {
  readonly callId: string;
  readonly model: string;
  readonly status: number;
  /** JSON text, or the frames of a stream of events. */
  readonly body: string | AsyncGenerator<string>;
}

/** What {@link ModelGateway} needs. */
export interface ModelGatewayOptions {
  readonly file: ModelsFile;
  /** Keys by the provider's name. */
  readonly keys: ReadonlyMap<string, string>;
  readonly budget?: ModelBudget | undefined;
  readonly record: (call: ModelCallRecord) => void;
  readonly newCallId: () => string;
  readonly clock: Clock;
  readonly log: Log;
}

interface Call {
  readonly id: string;
  readonly question: ModelQuestion;
  readonly dialect: Dialect;
  readonly isStream: boolean;
  readonly targets: readonly ModelTarget[];
  readonly account: Account;
}

type Opened = Exclude<Tried, ProviderFailure>;

/** Passes calls on to the models of a class: metered, with fail-over, in the API they were made in. */
export class ModelGateway {
  readonly #options: ModelGatewayOptions;
  readonly #retries = new RetryBudget();
  readonly #health: ModelHealth;
  readonly #tally = new Tally();

  constructor(options: ModelGatewayOptions) {
    this.#options = options;
    this.#health = new ModelHealth(options.file.breaker, options.clock);
  }

  /** Models that the file names, and whether each is asked as usual. */
  models(): readonly { readonly id: string; readonly isWell: boolean }[] {
    return Object.keys(this.#options.file.models).map((id) => ({ id, isWell: this.#health.isWell(id) }));
  }

  /** What became of calls since this process began. */
  tallied(): readonly Tallied[] {
    return this.#tally.rows();
  }

  /**
   * Answers a call. Resolves with the first event of a stream at hand, so that what fails before it is tried elsewhere.
   *
   * @throws HiveError MODEL_UNKNOWN, MODEL_DIALECT_MISSING, MODEL_PRICE_UNKNOWN, MODEL_UNAVAILABLE, MODEL_FAILED, MODEL_TIMED_OUT
   */
  async call(question: ModelQuestion): Promise<ModelAnswer> {
    const call = await this.#begin(question);
    this.#retries.earn();
    try {
      const { target, opened } = await this.#firstThatAnswers(call);
      return { callId: call.id, model: target.id, ...this.#answerOf(call, target, opened) };
    } catch (error) {
      call.account.close(question.signal.aborted ? 'aborted' : 'failed');
      throw error;
    }
  }

  async #begin(question: ModelQuestion): Promise<Call> {
    const { file, budget, clock, newCallId } = this.#options;
    const { caller, body } = question;
    const dialect = dialects[question.dialect];
    const isStream = body['stream'] === true;
    const targets = candidatesFor(file, body.model, question.dialect);
    const sent = JSON.stringify(body);
    const most = targets.map(({ price, mostOutputTokens }) =>
      price === undefined ? 0 : mostCost(Buffer.byteLength(sent), dialect.outputLimitOf(body) ?? mostOutputTokens, price),
    );
    const id = newCallId();
    const isSimulated = ({ provider }: ModelTarget) => file.providers[provider]?.kind === 'simulated';
    const head = { id, atMs: clock.nowMs(), dialect: question.dialect, asked: body.model, isStream, ...caller };
    const record = (over: ModelCallRecord) => {
      this.#tally.add(over);
      this.#options.record(over);
    };
    const reservation = await budget?.reserve(Math.max(...most), caller);
    const account = new Account({ head, sentCharacters: sent.length, reservation, isSimulated, clock, record });
    return { id, question, dialect, isStream, targets, account };
  }

  async #firstThatAnswers(call: Call): Promise<{ readonly target: ModelTarget; readonly opened: Opened }> {
    const failed: FailedTry[] = [];
    const resting = new Set<string>();
    let last: ProviderFailure | undefined;
    for (;;) {
      const target = await this.#next(call, failed, resting);
      if (target === undefined) throw this.#failureOf(call, last);
      const tried = await this.#try(call, target);
      if (tried.kind !== 'failure') return { target, opened: tried };
      last = tried;
      failed.push({ modelId: target.id, isRetryable: tried.isRetryable, retryAfterMs: tried.retryAfterMs });
    }
  }

  /** The model to ask now; undefined where nothing is left that could help. */
  async #next({ id, question, targets }: Call, failed: readonly FailedTry[], resting: Set<string>): Promise<ModelTarget | undefined> {
    const { file, clock } = this.#options;
    for (;;) {
      const left = targets.filter((target) => !resting.has(target.id));
      const step = nextStep(
        left.map((target) => target.id),
        failed,
        file.limits.retryWaitMs,
      );
      if (step.kind === 'give-up') return undefined;
      // A timer may be a millisecond early by the clock that the model's rest goes by.
      if (step.waitMs > 0) await pause(clock, step.waitMs + 1, question.signal);
      if (!this.#health.admit(step.modelId, id)) {
        resting.add(step.modelId);
        continue;
      }
      // A model that rests costs nothing to pass over; asking a second one does.
      if (failed.length > 0 && !this.#retries.take()) return void this.#health.note(step.modelId, id, undefined);
      return left.find((target) => target.id === step.modelId);
    }
  }

  async #try({ id, question, dialect, isStream, account }: Call, target: ModelTarget): Promise<Tried> {
    const { body, headers, signal } = question;
    account.begin(target);
    const outgoing = dialect.outgoing(body, target.name);
    let tried: Tried;
    try {
      tried = opening(await this.#ask(target, { dialect, body: outgoing, headers, isStream, signal }), dialect, body);
    } catch (error) {
      account.end({ failure: 'aborted' });
      this.#health.note(target.id, id, undefined);
      throw error;
    }
    if (tried.kind === 'failure') {
      account.end({ failure: tried.reason, ...(tried.mayBeCharged && { receivedCharacters: 0 }) });
      this.#health.note(target.id, id, { failure: tried.reason, retryAfterMs: tried.retryAfterMs });
      this.#options.log.warn({ callId: id, model: target.id, reason: tried.reason }, 'a model gave no answer');
    } else if (tried.kind !== 'stream') this.#health.note(target.id, id, {});
    return tried;
  }

  async #ask(target: ModelTarget, attempt: Attempt): Promise<Tried> {
    const { file, keys, clock } = this.#options;
    const provider = file.providers[target.provider];
    if (provider === undefined) return failure(`there is no provider ${target.provider}`, { mayBeCharged: false });
    if (provider.kind === 'simulated') return simulate(attempt, target);
    return ask({ provider, key: keys.get(target.provider), limits: file.limits, clock }, attempt);
  }

  #answerOf(call: Call, target: ModelTarget, opened: Opened): Pick<ModelAnswer, 'status' | 'body'> {
    const { dialect, question, account, id } = call;
    switch (opened.kind) {
      case 'refusal':
        account.end({ failure: `HTTP ${opened.status}` });
        account.close('refused');
        return { status: opened.status, body: opened.text };
      case 'answer':
        account.answering();
        account.end({ usage: dialect.usageOf(opened.body), receivedCharacters: writtenCharacters(opened.text) });
        account.close('answered');
        return { status: 200, body: opened.text };
      case 'stream': {
        account.answering();
        const note = (verdict: { readonly failure?: string } | undefined) => this.#health.note(target.id, id, verdict);
        const { first, rest } = opened;
        const body = relayed({ first, rest, dialect, read: dialect.reader(question.body), account, note, signal: question.signal });
        return { status: 200, body };
      }
    }
  }

  #failureOf({ question }: Call, last: ProviderFailure | undefined): HiveError {
    const asked = question.body.model;
    if (last === undefined) return new HiveError('MODEL_UNAVAILABLE', `every model of "${asked}" is resting`);
    return new HiveError(last.isTimeout ? 'MODEL_TIMED_OUT' : 'MODEL_FAILED', `"${asked}": ${last.reason}`);
  }
}

/** A stream that begins with an error has not begun. */
function opening(tried: Tried, dialect: Dialect, body: JsonObject): Tried {
  if (tried.kind !== 'stream' || !dialect.reader(body)(tried.first).isError) return tried;
  void letGo(tried.rest);
  return failure(`the stream began with ${tried.first.data}`, { mayBeCharged: false });
}

function simulate({ dialect, body, isStream }: Attempt, target: ModelTarget): Tried {
  const { answer, events } = dialect.simulated(body, target.name);
  const [first, ...rest] = events;
  if (isStream && first !== undefined) return { kind: 'stream', first, rest: inOrder(rest) };
  return { kind: 'answer', body: answer, text: JSON.stringify(answer) };
}

async function* inOrder(events: readonly StreamEvent[]): AsyncGenerator<StreamEvent> {
  yield* events;
}
