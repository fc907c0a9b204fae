import {
  type BeginEffect,
  type BegunEffect,
  type DoubtEffect,
  type EffectId,
  type EffectView,
  type FinishEffect,
  HiveError,
  type JsonValue,
  type MemoPage,
  type Outcome,
  type ProbeEffect,
  type ReadMemo,
  type RecordStep,
  type SuspendRequest,
  type TenantId,
} from '@hivekeeper/contract';
import { Batches } from '@hivekeeper/kernel';
import { argsSha256Of } from './canonical.ts';
import {
  begin,
  type Change,
  doubt,
  type Effect,
  type EffectKey,
  type Finding,
  finish,
  type Holder,
  park,
  probe,
  resolve,
} from './effect.ts';
import type { Claim, EffectStore, Found, StepRecord, Target } from './effect-store.ts';

/** What the ledger needs. */
export interface LedgerOptions {
  readonly store: EffectStore;
  readonly nowMs: () => number;
  readonly newEffectId: () => EffectId;
  /** Second half of a token of this epoch. */
  readonly counterOf: (token: string) => string | undefined;
}

interface Call {
  readonly claim: Claim;
  readonly target: Target;
  /** @throws HiveError to refuse */
  readonly judge: (found: Found) => Change;
  refusal?: HiveError | undefined;
}

interface StepCall extends StepRecord {
  recorded?: Outcome | undefined;
}

type Shown = Pick<SuspendRequest, 'workerId' | 'ticketId' | 'token'>;

const isEverybodys = (error: unknown): boolean => HiveError.is(error) && error.code === 'DATABASE_UNAVAILABLE';
const memoPageSize = 100;

/**
 * The effect ledger: what agents did to the world outside, told before they do it, and the results of their steps. Every
 * call of a worker shows its token, and changes nothing where that is not the current one of its ticket.
 */
export class EffectLedger {
  readonly #options: LedgerOptions;
  readonly #calls: Batches<Call>;
  readonly #steps: Batches<StepCall>;

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#calls = new Batches({ send: (calls) => this.#change(calls), laneOf: ({ claim }) => claim.ticketId, isEverybodys });
    this.#steps = new Batches({
      send: (calls) => this.#record(calls),
      laneOf: ({ claim, step }) => `${claim.ticketId} ${step}`,
      isEverybodys,
    });
  }

  /** Records that an effect is about to be made, and says what to do. Idempotent per token. @throws HiveError TICKET_NOT_HELD */
  async begin({ step, tool, args, hasProbe = false, ...shown }: BeginEffect): Promise<BegunEffect> {
    const key = { step: step ?? tool, tool, argsSha256: argsSha256Of(args as JsonValue) };
    const id = this.#options.newEffectId();
    const atMs = this.#nowMs();
    let answer: BegunEffect = { state: 'dispatched', effectId: id };
    await this.#call(shown, key, ({ holder, effect }) => {
      const begun = begin(effect ?? freshEffect(holder, { id, key, args: args as JsonValue, hasProbe, atMs }), holder, atMs);
      answer = begun.answer;
      return begun.change;
    });
    return answer;
  }

  /** Records how an effect ended. The first end stays. @throws HiveError TICKET_NOT_HELD, NOT_FOUND, EFFECT_NOT_DISPATCHED */
  finish({ effectId, outcome, ...shown }: FinishEffect): Promise<void> {
    const atMs = this.#nowMs();
    return this.#callOf(shown, effectId, (effect, holder) => finish(effect, holder, { outcome: outcome as Outcome, atMs }));
  }

  /** Records that an effect may or may not have happened. @throws as {@link finish} */
  doubt({ effectId, reason, ...shown }: DoubtEffect): Promise<void> {
    return this.#callOf(shown, effectId, (effect, holder) => doubt(effect, holder, reason));
  }

  /** Records what an agent's probe found. @throws as {@link finish}, and EFFECT_ALREADY_KNOWN */
  probed({ effectId, happened, output, ...shown }: ProbeEffect): Promise<void> {
    const atMs = this.#nowMs();
    return this.#callOf(shown, effectId, (effect) => probe(effect, { happened, output, by: 'agent' }, atMs));
  }

  /** Records that a ticket is about to be given back to wait for news of an effect. @throws as {@link finish} */
  park(shown: Shown, effectId: EffectId): Promise<void> {
    return this.#callOf(shown, effectId, (effect, holder) => park(effect, holder));
  }

  /** Records what a step came to, once: the first word stays, and is the answer. @throws HiveError TICKET_NOT_HELD */
  async record({ step, outcome, ...shown }: RecordStep): Promise<Outcome> {
    const call: StepCall = { claim: this.#claimOf(shown), step, outcome: outcome as Outcome };
    await this.#steps.submit(call);
    if (call.recorded === undefined) throw new HiveError('TICKET_NOT_HELD');
    return call.recorded;
  }

  /** What earlier attempts recorded, a page at a time. @throws HiveError TICKET_NOT_HELD */
  async memo({ after, ...shown }: ReadMemo): Promise<MemoPage> {
    const steps = await this.#options.store.steps(this.#claimOf(shown), { after, limit: memoPageSize });
    if (steps === undefined) throw new HiveError('TICKET_NOT_HELD');
    const last = steps.length < memoPageSize ? undefined : steps.at(-1);
    return { steps: [...steps] as MemoPage['steps'], ...(last !== undefined && { next: last.step }) };
  }

  /**
   * A person says what became of an unknown effect. The same again is no news.
   * @throws HiveError NOT_FOUND, EFFECT_AT_WORK, EFFECT_ALREADY_KNOWN
   */
  async resolve(which: { readonly tenantId: TenantId; readonly effectId: EffectId }, finding: Finding): Promise<Effect> {
    const atMs = this.#nowMs();
    const effect = await this.#options.store.resolve({ ...which, by: finding.by }, (found, isAtWork) =>
      resolve(found, finding, { isAtWork, atMs }),
    );
    if (effect === undefined) throw new HiveError('NOT_FOUND', `there is no effect ${which.effectId}`);
    return effect;
  }

  /** An effect as people see it. @throws HiveError NOT_FOUND */
  async effect(tenantId: TenantId, effectId: EffectId): Promise<EffectView> {
    const effect = await this.#options.store.effect(tenantId, effectId);
    if (effect === undefined) throw new HiveError('NOT_FOUND', `there is no effect ${effectId}`);
    return effect;
  }

  #callOf(shown: Shown, effectId: EffectId, judge: (effect: Effect, holder: Holder) => Change): Promise<void> {
    return this.#call(shown, { effectId }, ({ effect, holder }) => {
      if (effect === undefined) throw new HiveError('NOT_FOUND', `this execution has no effect ${effectId}`);
      return judge(effect, holder);
    });
  }

  async #call(shown: Shown, target: Target, judge: (found: Found & { readonly holder: Holder }) => Change): Promise<void> {
    const call: Call = {
      claim: this.#claimOf(shown),
      target,
      judge: ({ holder, effect }) => {
        if (holder === undefined) throw new HiveError('TICKET_NOT_HELD');
        return judge({ holder, effect });
      },
    };
    await this.#calls.submit(call);
    if (call.refusal !== undefined) throw call.refusal;
  }

  #claimOf({ workerId, ticketId, token }: Shown): Claim {
    const counter = this.#options.counterOf(token);
    if (counter === undefined) throw new HiveError('TICKET_NOT_HELD', 'the token is from before a restore');
    return { workerId, ticketId, counter };
  }

  #change(calls: readonly Call[]): Promise<void> {
    return this.#options.store.change(calls, (found, index) => {
      const call = calls[index];
      if (call === undefined) return undefined;
      call.refusal = undefined;
      try {
        return call.judge(found);
      } catch (error) {
        if (!HiveError.is(error)) throw error;
        call.refusal = error;
        return undefined;
      }
    });
  }

  async #record(calls: readonly StepCall[]): Promise<void> {
    const outcomes = await this.#options.store.recordSteps(calls);
    for (const [index, call] of calls.entries()) call.recorded = outcomes[index];
  }

  #nowMs(): number {
    return Math.floor(this.#options.nowMs());
  }
}

interface Fresh {
  readonly id: EffectId;
  readonly key: EffectKey;
  readonly args: JsonValue;
  readonly hasProbe: boolean;
  readonly atMs: number;
}

const freshEffect = ({ tenantId, runId, nodeId, slot }: Holder, { key, atMs, ...fresh }: Fresh): Effect => ({
  ...{ tenantId, runId, nodeId, slot },
  ...fresh,
  ...key,
  state: 'intended',
  dispatchCount: 0,
  begunAtMs: atMs,
  version: 0,
});
