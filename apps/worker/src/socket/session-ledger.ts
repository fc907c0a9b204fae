import {
  type BeginEffect,
  type BegunEffect,
  type DoubtEffect,
  type EffectId,
  type FinishEffect,
  HiveError,
  type LeasedTicket,
  type MemoEntry,
  type ProbeEffect,
  type RecordedStep,
  type RecordStep,
  type Suspension,
  type WorkerId,
} from '@hivekeeper/contract';
import { type Clock, type Log, pause, type Random } from '@hivekeeper/kernel';
import { backoffMs, type LedgerApi } from '../report/index.ts';

/** What a call of an agent says: everything but who calls. */
export type Said<Body> = Omit<Body, 'workerId' | 'ticketId' | 'token'>;

/** What an agent may know of earlier executions. */
export interface Memo {
  /** What became of what it waited for. */
  readonly waits: readonly MemoEntry[];
  /** Steps it recorded, a page of them. */
  readonly steps: readonly MemoEntry[];
  /** There where another page may follow. */
  readonly next?: string | undefined;
}

/** What {@link SessionLedger} needs. */
export interface SessionLedgerOptions {
  readonly api: LedgerApi;
  readonly workerId: WorkerId;
  readonly ticket: LeasedTicket;
  /** Ends the waiting for an answer: the session is over. */
  readonly signal: AbortSignal;
  /** The agent wants to wait, and must be ended. Called once. */
  readonly onSuspend: (suspension: Suspension) => void;
  /** The ticket is somebody else's by now, and the agent must be ended. */
  readonly onNotHeld: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/**
 * One agent's way to the effect ledger. Adds the ticket's token, which the agent never sees; asks again for as long as the
 * control plane is away; and keeps the agent from making one effect twice at a time.
 */
export class SessionLedger {
  readonly #options: SessionLedgerOptions;
  /** The agent was told to make them, and has not said how they ended. */
  readonly #atWork = new Set<EffectId>();
  readonly #unknown = new Set<EffectId>();
  #isSuspended = false;

  constructor(options: SessionLedgerOptions) {
    this.#options = options;
  }

  /** @throws HiveError EFFECT_AT_WORK where this very agent is making it */
  async begin(effect: Said<BeginEffect>): Promise<BegunEffect> {
    const begun = await this.#ask((api, signal) => api.beginEffect({ ...effect, ...this.#shown }, signal));
    const { effectId, state } = begun;
    if (state === 'unknown') this.#unknown.add(effectId);
    if (state !== 'dispatched') return begun;
    // To the control plane a repeated call is the same one, its answer lost; here it is a second.
    if (this.#atWork.has(effectId)) throw new HiveError('EFFECT_AT_WORK');
    this.#atWork.add(effectId);
    return begun;
  }

  async finish(end: Said<FinishEffect>): Promise<void> {
    await this.#ask((api, signal) => api.finishEffect({ ...end, ...this.#shown }, signal));
    this.#atWork.delete(end.effectId);
  }

  async doubt(doubt: Said<DoubtEffect>): Promise<void> {
    await this.#ask((api, signal) => api.doubtEffect({ ...doubt, ...this.#shown }, signal));
    this.#atWork.delete(doubt.effectId);
    this.#unknown.add(doubt.effectId);
  }

  async probed(finding: Said<ProbeEffect>): Promise<void> {
    await this.#ask((api, signal) => api.probedEffect({ ...finding, ...this.#shown }, signal));
    this.#unknown.delete(finding.effectId);
  }

  record(step: Said<RecordStep>): Promise<RecordedStep> {
    return this.#ask((api, signal) => api.recordStep({ ...step, ...this.#shown }, signal));
  }

  async memo(after?: string): Promise<Memo> {
    const page = await this.#ask((api, signal) => api.memo({ ...this.#shown, ...(after !== undefined && { after }) }, signal));
    return { waits: this.#options.ticket.memo as readonly MemoEntry[], steps: page.steps as readonly MemoEntry[], next: page.next };
  }

  /** The agent wants to wait. @throws HiveError EFFECT_AT_WORK, EFFECT_NOT_DISPATCHED */
  suspend(suspension: Suspension): void {
    this.#mustBeOpen();
    // Ended in the middle of an effect, the agent would itself make it unknown.
    if (this.#atWork.size > 0) throw new HiveError('EFFECT_AT_WORK', 'say first how the effects under way ended');
    if (suspension.kind === 'effect' && !this.#unknown.has(suspension.effectId))
      throw new HiveError('EFFECT_NOT_DISPATCHED', 'only an effect that is unknown can be waited for');
    this.#isSuspended = true;
    this.#options.onSuspend(suspension);
  }

  get #shown() {
    const { workerId, ticket } = this.#options;
    return { workerId, ticketId: ticket.ticketId, token: ticket.token };
  }

  #mustBeOpen(): void {
    if (this.#isSuspended) throw new HiveError('TICKET_NOT_HELD', 'the agent asked to wait: nothing more is taken from it');
  }

  async #ask<Answer>(call: (api: LedgerApi, signal: AbortSignal) => Promise<Answer>): Promise<Answer> {
    const { api, signal, clock, random, log } = this.#options;
    this.#mustBeOpen();
    for (let failureCount = 1; ; failureCount += 1) {
      try {
        return await call(api, signal);
      } catch (error) {
        if (signal.aborted || !isPassing(error)) throw this.#judged(error);
        log.warn({ err: error, failureCount }, 'the ledger does not answer yet');
      }
      await pause(clock, backoffMs(failureCount, random), signal);
    }
  }

  #judged(error: unknown): unknown {
    if (HiveError.is(error) && error.code === 'TICKET_NOT_HELD') this.#options.onNotHeld();
    return error;
  }
}

const isPassing = (error: unknown): boolean =>
  !HiveError.is(error) || (error.entry.consequence === 'retry' && error.entry.fault !== 'agent');
