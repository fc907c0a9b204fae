import type { DeadTicketView, RunId, TenantId, TicketId } from '@hivekeeper/contract';

/** Which dead tickets to list, newest run first. */
export interface DeadTicketFilter {
  readonly state: 'open' | 'resolved' | 'all';
  readonly workflow?: string | undefined;
  readonly before?: TicketId | undefined;
  readonly limit: number;
}

/**
 * The port to the database. Rows are written with the commit of the run; here somebody deals with them. Each change has its
 * audit entry in the same transaction, and is none where nothing changes.
 */
export interface DeadTicketStore {
  list(tenantId: TenantId, filter: DeadTicketFilter): Promise<readonly DeadTicketView[]>;
  get(tenantId: TenantId, ticketId: TicketId): Promise<DeadTicketView | undefined>;
  /** Marks every dead ticket of the run that is not marked so: another run does it again, whatever was said before. */
  markRedriven(change: {
    readonly tenantId: TenantId;
    readonly runId: RunId;
    readonly redrivenRunId: RunId;
    readonly by: string;
  }): Promise<void>;
  /** Marks one that is open. */
  markDiscarded(change: {
    readonly tenantId: TenantId;
    readonly ticketId: TicketId;
    readonly reason: string;
    readonly by: string;
  }): Promise<void>;
}
