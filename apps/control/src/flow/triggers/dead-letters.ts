import { type DeadTicketView, HiveError, type TenantId, type TicketId } from '@hivekeeper/contract';
import type { DeadTicketFilter, DeadTicketStore } from '../../records/dead-tickets/index.ts';
import type { Triggers } from './triggers.ts';

/** Which dead ticket, and who says so. */
export interface DeadOrder {
  readonly tenantId: TenantId;
  readonly ticketId: TicketId;
  readonly by: string;
}

/**
 * Dealing with tickets that failed for good.
 *
 * | a dead ticket is | redrive                      | discard              |
 * |------------------|------------------------------|----------------------|
 * | open             | REDRIVEN by a new run        | DISCARDED            |
 * | REDRIVEN         | no news                      | DEAD_TICKET_RESOLVED |
 * | DISCARDED        | DEAD_TICKET_RESOLVED         | no news              |
 */
export class DeadLetters {
  readonly #store: DeadTicketStore;
  readonly #triggers: Triggers;

  constructor({ store, triggers }: { readonly store: DeadTicketStore; readonly triggers: Triggers }) {
    this.#store = store;
    this.#triggers = triggers;
  }

  list(tenantId: TenantId, filter: DeadTicketFilter): Promise<readonly DeadTicketView[]> {
    return this.#store.list(tenantId, filter);
  }

  /** @throws HiveError NOT_FOUND */
  async get(tenantId: TenantId, ticketId: TicketId): Promise<DeadTicketView> {
    const dead = await this.#store.get(tenantId, ticketId);
    if (dead === undefined) throw new HiveError('NOT_FOUND', `there is no dead ticket ${ticketId}`);
    return dead;
  }

  /**
   * Starts a run that goes on from what failed the ticket's run, once: all dead tickets of the run are in it. A call that ended
   * between start and mark finds its run by the key when it is made again.
   * @throws HiveError NOT_FOUND, DEAD_TICKET_RESOLVED, RUN_NOT_RETRYABLE, RUN_COMPENSATED
   */
  async redrive({ tenantId, ticketId, by }: DeadOrder): Promise<DeadTicketView> {
    const dead = await this.get(tenantId, ticketId);
    if (dead.resolution === 'DISCARDED') throw resolved(dead);
    if (dead.resolution === 'REDRIVEN') return dead;
    const { runId } = dead;
    const { runId: redrivenRunId } = await this.#triggers.rerun({
      tenantId,
      runId,
      by,
      rerun: { kind: 'retry', from: 'failed' },
      idempotency: { route: 'redrive', key: runId },
    });
    await this.#store.markRedriven({ tenantId, runId, redrivenRunId, by });
    return this.get(tenantId, ticketId);
  }

  /** Says that nothing will be done. @throws HiveError NOT_FOUND, DEAD_TICKET_RESOLVED */
  async discard({ reason, ...order }: DeadOrder & { readonly reason: string }): Promise<DeadTicketView> {
    const { tenantId, ticketId } = order;
    await this.get(tenantId, ticketId);
    await this.#store.markDiscarded({ ...order, reason });
    const dead = await this.get(tenantId, ticketId);
    if (dead.resolution !== 'DISCARDED') throw resolved(dead);
    return dead;
  }
}

const resolved = ({ ticketId, resolution, resolvedBy }: DeadTicketView): HiveError =>
  new HiveError('DEAD_TICKET_RESOLVED', `${ticketId} is ${String(resolution)}, said ${String(resolvedBy)}`);
