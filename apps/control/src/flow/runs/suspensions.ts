import { type EffectId, HiveError, type SuspendRequest, type Suspension, type TenantId } from '@hivekeeper/contract';
import type { AwaitedEffect, EffectLedger, EffectStore, Finding } from '../../records/effects/index.ts';
import type { RunOrders } from './orders.ts';
import type { Runs } from './runs.ts';

/** What {@link Suspensions} needs. */
export interface SuspensionsOptions {
  readonly runs: Pick<Runs, 'suspend'>;
  readonly orders: Pick<RunOrders, 'effectResolved'>;
  readonly ledger: Pick<EffectLedger, 'park' | 'resolve'>;
  readonly effects: Pick<EffectStore, 'awaited' | 'forgetAwaiting'>;
}

/**
 * Agents that give their ticket back because they wait, and the news of effects that some of them wait for.
 *
 * A run and the ledger are stored apart, so news may come before the run knows that it waits, and a crash may come between
 * any two steps. Therefore an effect is marked as awaited before the run is suspended, and stays so until the run was told
 * at a moment when the ticket was gone: then it either waited already, or never will.
 */
export class Suspensions {
  readonly #options: SuspensionsOptions;

  constructor(options: SuspensionsOptions) {
    this.#options = options;
  }

  /**
   * Ends a ticket whose agent waits for something. Idempotent per ticket and token.
   * @throws HiveError TICKET_NOT_HELD, and EFFECT_NOT_DISPATCHED or INVALID_REQUEST for an effect that is not its own
   */
  async suspend(request: SuspendRequest & { readonly suspension: Suspension }): Promise<void> {
    const { runs, ledger } = this.#options;
    const { suspension, ...shown } = request;
    if (suspension.kind !== 'effect') return runs.suspend(request);
    const { effectId } = suspension;
    // Not held: a call that is repeated finds its ticket gone, and is answered from the journal.
    await ledger.park(shown, effectId).catch((error: unknown) => {
      if (!HiveError.is(error) || error.code !== 'TICKET_NOT_HELD') throw ownFault(error, effectId);
    });
    await runs.suspend(request);
    await this.tell(effectId);
  }

  /** A person says what became of an effect; whoever waits for it goes on. @throws as the ledger's `resolve` */
  async resolve(which: { readonly tenantId: TenantId; readonly effectId: EffectId }, finding: Finding): Promise<void> {
    await this.#options.ledger.resolve(which, finding);
    await this.tell(which.effectId);
  }

  /** Tells runs the news of effects that they wait for: of one, or of all, also past one that cannot be told. Telling again does no harm. */
  async tell(only?: EffectId): Promise<void> {
    const failed: unknown[] = [];
    for (const effect of await this.#options.effects.awaited(only))
      await this.#tellOne(effect).catch((error: unknown) => failed.push(error));
    if (failed.length > 0) throw failed[0];
  }

  async #tellOne(effect: AwaitedEffect): Promise<void> {
    const { id: effectId, tenantId, runId, by, isTicketLive } = effect;
    await this.#options.orders.effectResolved({ tenantId, runId, effectId, by }).catch((error: unknown) => {
      if (!HiveError.is(error) || error.code !== 'NOT_FOUND') throw error;
    });
    if (!isTicketLive) await this.#options.effects.forgetAwaiting(effect);
  }
}

/** To the worker, an effect that is not there is a fault of its request: it must not be taken for a worker that is not known. */
const ownFault = (error: unknown, effectId: EffectId): unknown =>
  HiveError.is(error) && error.code === 'NOT_FOUND'
    ? new HiveError('INVALID_REQUEST', `this execution has no effect ${effectId}`, {
        issues: [{ path: '/suspension/effectId', message: 'not an effect of this execution' }],
      })
    : error;
