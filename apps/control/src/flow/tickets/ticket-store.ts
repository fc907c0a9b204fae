import type { HeldTicket, JsonValue, LeasedTicket, MemoEntry, RunId, TenantId, TicketId, WorkerId } from '@hivekeeper/contract';
import type { ReadyTicket } from './scheduler.ts';

/** A ticket before anybody holds it. */
export interface IssuedTicket extends ReadyTicket {
  readonly tenantId: TenantId;
  readonly runId: RunId;
  readonly nodeId: string;
  readonly slot: number;
  readonly attempt: number;
  readonly agent: string;
  readonly action?: string | undefined;
  readonly input: JsonValue;
  readonly memo: readonly MemoEntry[];
  readonly timeoutMs: number;
  /** Its run is paused: nobody may be given it. */
  readonly isHeld: boolean;
}

/** A lease as the database has it. */
export interface Lease extends HeldTicket {
  readonly runId: RunId;
  readonly workerId: WorkerId;
}

/** A row of the live tickets, for people. */
export interface LiveTicket {
  readonly ticketId: TicketId;
  readonly requirement: string;
  readonly workerId?: WorkerId | undefined;
  readonly leasedAtMs?: number | undefined;
  readonly leaseUntilMs?: number | undefined;
  readonly progress?: JsonValue | undefined;
}

/** What the holder of a ticket last said of how far it is. */
export interface TicketProgress {
  readonly ticketId: TicketId;
  readonly progress: JsonValue;
}

/** What the desk needs of the database, besides the commits that issue and lease tickets. */
export interface TicketStore {
  /** Renews leases by the database's clock; returns the ids which that worker still holds by that token. */
  renew(
    workerId: WorkerId,
    tickets: readonly (HeldTicket & { readonly progress?: JsonValue | undefined })[],
    leaseMs: number,
  ): Promise<ReadonlySet<TicketId>>;
  /**
   * Makes leased tickets ready again, and tells every control plane; ones that worker does not hold by that token are
   * left alone. Returns those given back.
   */
  release(workerId: WorkerId, tickets: readonly HeldTicket[]): Promise<readonly IssuedTicket[]>;
  /** Leases past their time by the database's clock. */
  expired(): Promise<readonly Lease[]>;
  /** The most urgent ready tickets that are not held and need no more than one of these workers has: its capabilities, joined by spaces. */
  ready(most: number, workers: readonly string[]): Promise<readonly IssuedTicket[]>;
  /** What a worker holds by the database: for sending again what was lost on the way. */
  heldBy(workerId: WorkerId): Promise<readonly (IssuedTicket & HeldTicket)[]>;
  /** The live tickets of a run. */
  ofRun(runId: RunId): Promise<readonly LiveTicket[]>;
  /** What the leased tickets of these runs say; nothing of those that never did. */
  progressOf(runIds: readonly RunId[]): Promise<readonly TicketProgress[]>;
  /** How many tickets are ready and leased. */
  counts(): Promise<{ readonly ready: number; readonly leased: number }>;
}

/** A worker's end of the line: where leased tickets and revocations go. */
export interface WorkerLink {
  readonly workerId: WorkerId;
  readonly name: string;
  readonly capabilities: readonly string[];
  readonly maxParallel: number;
  /** True while the worker waits at the other end; an executor in this process always does. */
  readonly isListening: boolean;
  deliver(tickets: readonly LeasedTicket[]): void;
  revoke(ticketIds: readonly TicketId[]): void;
}
