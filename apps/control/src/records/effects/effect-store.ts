import type { EffectId, EffectState, EffectView, MemoEntry, Outcome, RunId, TenantId, TicketId, WorkerId } from '@hivekeeper/contract';
import type { Change, Effect, EffectKey, Holder } from './effect.ts';

/** What a worker shows to prove that it holds a ticket. */
export interface Claim {
  readonly workerId: WorkerId;
  readonly ticketId: TicketId;
  /** Second half of the token. */
  readonly counter: string;
}

/** Which effect of its ticket's place a call is about. */
export type Target = { readonly effectId: EffectId } | EffectKey;

/** What the database says about a call. */
export interface Found {
  /** Absent where the claim is not, or no longer, true. */
  readonly holder?: Holder | undefined;
  /** Absent where the place has none such. */
  readonly effect?: Effect | undefined;
}

/** A result of a step that is to be recorded. */
export interface StepRecord {
  readonly claim: Claim;
  readonly step: string;
  readonly outcome: Outcome;
}

/** An effect that a ticket was given back for, and of which there is news. */
export interface AwaitedEffect extends Pick<Effect, 'id' | 'tenantId' | 'runId' | 'awaitedBy'> {
  readonly by: string;
  /** The run may not know yet that it waits. */
  readonly isTicketLive: boolean;
}

/** Which effects to list, oldest first. */
export interface EffectFilter {
  readonly run?: RunId | undefined;
  readonly state?: EffectState | undefined;
  readonly after?: EffectId | undefined;
  readonly limit: number;
}

/** The port to the database. Every change commits together with its audit entry. Reads are confined to the tenant they name. */
export interface EffectStore {
  /**
   * Judges calls of different tickets in one transaction, during which each ticket stays with its holder, and stores what
   * the judgements change. Where an effect was changed by somebody else meanwhile, everything is read and judged again.
   */
  change(
    calls: readonly { readonly claim: Claim; readonly target: Target }[],
    judge: (found: Found, index: number) => Change,
  ): Promise<void>;
  /** Records what is not recorded yet, in one transaction. For each its recorded outcome; undefined where the claim is not true. */
  recordSteps(records: readonly StepRecord[]): Promise<readonly (Outcome | undefined)[]>;
  /** Steps recorded at the ticket's place, in the order of their names. Undefined where the claim is not true. */
  steps(claim: Claim, page: { readonly after?: string | undefined; readonly limit: number }): Promise<readonly MemoEntry[] | undefined>;
  /** Judges one effect, in a transaction, for a person; gives it back as it stands then. Undefined where there is none. */
  resolve(
    which: { readonly tenantId: TenantId; readonly effectId: EffectId; readonly by: string },
    judge: (effect: Effect, isAtWork: boolean) => Change,
  ): Promise<Effect | undefined>;
  /** Effects of every tenant that somebody waits for and that are not unknown any more, `only` one where it is named. */
  awaited(only?: EffectId): Promise<readonly AwaitedEffect[]>;
  /** Nobody waits for the effect by that ticket any more. */
  forgetAwaiting(effect: Pick<AwaitedEffect, 'id' | 'awaitedBy'>): Promise<void>;
  list(tenantId: TenantId, filter: EffectFilter): Promise<readonly EffectView[]>;
  effect(tenantId: TenantId, effectId: EffectId): Promise<EffectView | undefined>;
  counts(tenantId: TenantId, runId: RunId): Promise<Partial<Record<EffectState, number>>>;
}
