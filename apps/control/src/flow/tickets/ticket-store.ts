import type {
  BreakerSubject,
  HeldTicket,
  JsonValue,
  LeasedTicket,
  MemoEntry,
  RunId,
  TenantId,
  ThrottledBy,
  TicketId,
  WorkerId,
} from '@hivekeeper/contract';
import type { ReadyTicket } from './scheduler.ts';
import type { Breaker } from './breaker.ts';

/** A ticket before anybody holds it. */
export interface IssuedTicket extends ReadyTicket {
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
  /** When the holder last said something else than before. */
  readonly progressedAtMs?: number | undefined;
}

/** Why a lease was not granted. */
export interface LeaseRefusal {
  /** The key that has no room. */
  readonly key: string;
  /** When it will; absent where only the end of another ticket makes room. */
  readonly roomInMs?: number | undefined;
}

/** What became of the leases that a commit asked for; one without an answer was taken by another control plane. */
export interface LeaseAnswers {
  /** The counters of the tokens. */
  readonly counters: ReadonlyMap<TicketId, string>;
  readonly refusals: ReadonlyMap<TicketId, LeaseRefusal>;
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
  /**
   * The most urgent ready tickets that are not held, need no more than one of these workers has (its capabilities, joined by
   * spaces), and have none of these keys, each given with its tenant.
   */
  ready(most: number, workers: readonly string[], fullKeys: readonly string[]): Promise<readonly IssuedTicket[]>;
  /** What a worker holds by the database: for sending again what was lost on the way. */
  heldBy(workerId: WorkerId): Promise<readonly (IssuedTicket & HeldTicket)[]>;
  /** The live tickets of a run. */
  ofRun(runId: RunId): Promise<readonly LiveTicket[]>;
  /** What the leased tickets of these runs say; nothing of those that never did. */
  progressOf(runIds: readonly RunId[]): Promise<readonly TicketProgress[]>;
  /** How many tickets are ready and leased, without canaries. */
  counts(): Promise<{ readonly ready: number; readonly leased: number }>;
}

/** What throttles are now, and the breakers. Times are the database's. */
export interface ThrottleStore {
  /** The first of a ready ticket's throttles that lets it wait. */
  throttledBy(ticketId: TicketId): Promise<ThrottledBy | undefined>;
  /** A tenant's breakers that have seen a failure or an order, by key, and what time it is. */
  breakers(tenantId: TenantId): Promise<{ readonly nowMs: number; readonly byKey: ReadonlyMap<string, Breaker> }>;
  /**
   * Replaces a breaker by what `change` makes of it, with an audit entry where its state is another or a person did it; true where its
   * state is another.
   */
  changeBreaker(who: BreakerChange, change: (breaker: Breaker, nowMs: number) => Breaker): Promise<boolean>;
}

/** Whose breaker changes, and who does it: `platform`, or a person. */
export interface BreakerChange {
  readonly tenantId: TenantId;
  readonly subject: BreakerSubject;
  readonly by: string;
}

/** A worker's end of the line: where leased tickets and revocations go. */
export interface WorkerLink {
  readonly workerId: WorkerId;
  readonly name: string;
  readonly capabilities: readonly string[];
  /** Why it has not what it looked for, by the capability. */
  readonly lacks?: Readonly<Record<string, string>> | undefined;
  readonly maxParallel: number;
  /** True while the worker waits at the other end; an executor in this process always does. */
  readonly isListening: boolean;
  deliver(tickets: readonly LeasedTicket[]): void;
  revoke(ticketIds: readonly TicketId[]): void;
}
