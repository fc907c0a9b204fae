import type {
  ApprovalId,
  ApprovalView,
  Blocker,
  DeadTicketView,
  EffectId,
  JsonValue,
  KeyView,
  LinkId,
  MemoEntry,
  RunEvent,
  RunId,
  RunSummary,
  TenantId,
  TicketId,
  WorkerId,
  WorkflowDefinition,
} from '@hivekeeper/contract';
import type { IssuedTicket } from '../../flow/tickets/index.ts';
import type { Effect } from '../../records/effects/index.ts';
import type { NewEvent, StoredEvent, StoredSchedule } from '../../flow/triggers/index.ts';
import type { StoredInstance } from '../../records/instances/index.ts';
import type { SealedLink } from '../../records/links/index.ts';
import type { StoredAgent, StoredWorkflow } from '../../records/registry/index.ts';

/** The database's tables as far as tests of the door need them: same refusals, no durability, leases never run out. */
export class MemoryTables {
  readonly agents = new Map<string, StoredAgent>();
  readonly workflows = new Map<
    string,
    { head: StoredWorkflow; versions: { definition: WorkflowDefinition; sha256: string }[]; isRemoved?: true }
  >();
  readonly runs = new Map<RunId, RunRow>();
  readonly tickets = new Map<TicketId, MemoryTicket>();
  readonly approvals = new Map<ApprovalId, ApprovalView & { tenantId: TenantId }>();
  readonly dead = new Map<TicketId, DeadTicketView & { tenantId: TenantId }>();
  readonly links = new Map<LinkId, SealedLink>();
  /** Who did what to what, besides runs. */
  readonly audit: { readonly actor: string; readonly action: string; readonly object: string }[] = [];
  readonly effects = new Map<EffectId, Effect>();
  readonly steps = new Map<string, MemoEntry>();
  readonly keys = new Map<string, { readonly tenantId: TenantId; view: KeyView }>();
  readonly schedules = new Map<string, StoredSchedule>();
  readonly events = new Map<string, { event: StoredEvent; dedupe: NewEvent['dedupe'] }>();
  readonly instances = new Map<string, StoredInstance>();
  readonly idempotency = new Map<string, { runId: RunId; bodySha256: string }>();
  readonly nowMs: () => number;
  #counter = 0;

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  nextCounter(): string {
    this.#counter += 1;
    return String(this.#counter);
  }
}

/** A ticket, ready or leased. */
export interface MemoryTicket extends IssuedTicket {
  readonly workerId?: WorkerId | undefined;
  readonly token: string;
  readonly leasedAtMs: number;
  readonly progress?: JsonValue | undefined;
}

/** A run as far as it was committed. */
export interface RunRow {
  readonly tenantId: TenantId;
  readonly summary: RunSummary & { blocker?: Blocker | undefined };
  readonly version: number;
  readonly commits: readonly (readonly RunEvent[])[];
}
