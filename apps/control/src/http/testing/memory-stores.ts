import { createHash } from 'node:crypto';
import {
  type ApprovalId, type ApprovalView, type Blocker, HiveError, isTerminal, type RunEvent, type RunId, type RunSummary, type TenantId, type TicketId, type WorkerId, type WorkflowDefinition,
} from '@hivekeeper/contract';
import type { CommitResult, RunCommit, RunStore, StoredRun } from '../../flow/runs/index.ts';
import type { IssuedTicket, TicketStore } from '../../flow/tickets/index.ts';
import type { KeyStore, Principal } from '../../records/keys/index.ts';
import type { Reference, RegistryStore, StoredAgent, StoredWorkflow } from '../../records/registry/index.ts';

/** The database's tables as far as tests of the door need them: same refusals, no durability, leases never run out. */
export class MemoryTables {
  readonly agents = new Map<string, StoredAgent>();
  readonly workflows = new Map<string, { head: StoredWorkflow; versions: { definition: WorkflowDefinition; sha256: string }[]; isRemoved?: true }>();
  readonly runs = new Map<RunId, RunRow>();
  readonly tickets = new Map<TicketId, IssuedTicket & { workerId?: WorkerId | undefined; token: string; leasedAtMs: number }>();
  readonly approvals = new Map<ApprovalId, ApprovalView & { tenantId: TenantId }>();
  readonly keys = new Map<string, Principal>();
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

interface RunRow {
  readonly tenantId: TenantId;
  readonly summary: RunSummary & { blocker?: Blocker | undefined };
  readonly version: number;
  readonly commits: readonly (readonly RunEvent[])[];
}

/** {@link RunStore} over the tables. */
export function memoryRunStore(tables: MemoryTables): RunStore {
  const visible = (tenantId: TenantId) => [...tables.runs.values()].filter((run) => run.tenantId === tenantId).map(({ summary }) => summary).reverse();
  return {
    commit: async ({ runs, leases }) => {
      const refusal = refusalOf(tables, runs);
      if (refusal !== undefined) return refusal;
      const counters = new Map<TicketId, string>();
      const lease = (ticket: IssuedTicket, workerId: WorkerId) => {
        const token = tables.nextCounter();
        tables.tickets.set(ticket.ticketId, { ...ticket, workerId, token, leasedAtMs: tables.nowMs() });
        counters.set(ticket.ticketId, token);
      };
      for (const run of runs) {
        storeRun(tables, run);
        for (const { workerId, ...ticket } of run.issued) {
          if (workerId === undefined) tables.tickets.set(ticket.ticketId, { ...ticket, token: '', leasedAtMs: 0 });
          else lease(ticket, workerId);
        }
      }
      for (const { ticketId, workerId } of leases) {
        const ticket = tables.tickets.get(ticketId);
        if (ticket !== undefined && ticket.workerId === undefined) lease(ticket, workerId);
      }
      return { stored: true, counters };
    },
    load: async (runId) => storedRunOf(tables, runId),
    due: async () => ({ runIds: [] }),
    findByKey: async (tenantId, route, key) => tables.idempotency.get(JSON.stringify([tenantId, route, key])),
    summary: async (tenantId, runId) => visible(tenantId).find(({ id }) => id === runId),
    list: async (tenantId, { workflow, workflowId, status, before, limit }) =>
      visible(tenantId)
        .filter((run) => (workflow ?? run.workflowName) === run.workflowName && (workflowId ?? run.workflowId) === run.workflowId && (status ?? run.status) === run.status && (before === undefined || run.id < before))
        .slice(0, limit)
        .map(({ blocker: _, ...run }) => run),
    countByStatus: async (tenantId) => {
      const counts: Record<string, number> = {};
      for (const { status } of visible(tenantId)) counts[status] = (counts[status] ?? 0) + 1;
      return counts;
    },
    approvals: async (tenantId, { status, runId }) =>
      [...tables.approvals.values()].filter((approval) => approval.tenantId === tenantId && (status ?? approval.status) === approval.status && (runId ?? approval.runId) === approval.runId).map(withoutTenant),
    approval: async (tenantId, approvalId) => {
      const approval = tables.approvals.get(approvalId);
      return approval?.tenantId === tenantId ? withoutTenant(approval) : undefined;
    },
  };
}

function withoutTenant({ tenantId: _, ...approval }: ApprovalView & { tenantId: TenantId }): ApprovalView {
  return approval;
}

function refusalOf(tables: MemoryTables, runs: readonly RunCommit[]): CommitResult | undefined {
  const moved = runs.filter((run) => (tables.runs.get(run.runId)?.version ?? 0) !== run.version - 1);
  if (moved.length > 0) return { stored: false, reason: 'moved-on', runIds: new Set(moved.map(({ runId }) => runId)) };
  const strange = runs.flatMap(({ settled }) => settled).filter(({ ticketId, counter, workerId }) => tables.tickets.get(ticketId)?.token !== counter || tables.tickets.get(ticketId)?.workerId !== workerId);
  if (strange.length > 0) return { stored: false, reason: 'not-held', ticketIds: new Set(strange.map(({ ticketId }) => ticketId)) };
  const keys = runs.map(keyOf);
  const taken = runs.filter((_, index) => keys[index] !== undefined && (tables.idempotency.has(keys[index]) || keys.indexOf(keys[index]) < index));
  return taken.length === 0 ? undefined : { stored: false, reason: 'key-taken', runIds: new Set(taken.map(({ runId }) => runId)) };
}

const keyOf = ({ tenantId, origin }: RunCommit): string | undefined => (origin?.idempotency === undefined ? undefined : JSON.stringify([tenantId, origin.idempotency.route, origin.idempotency.key]));

function storeRun(tables: MemoryTables, run: RunCommit): void {
  const before = tables.runs.get(run.runId);
  tables.runs.set(run.runId, { tenantId: run.tenantId, version: run.version, commits: [...(before?.commits ?? []), run.events], summary: summaryOf(tables, run, before?.summary) });
  const key = keyOf(run);
  if (key !== undefined && run.origin?.idempotency !== undefined) tables.idempotency.set(key, { runId: run.runId, bodySha256: run.origin.idempotency.bodySha256 });
  for (const { ticketId } of run.settled) tables.tickets.delete(ticketId);
  for (const ticketId of run.revoked) tables.tickets.delete(ticketId);
  for (const asked of run.asked) tables.approvals.set(asked.id, approvalOf(tables, run, asked));
  for (const { id, status, by, notes } of run.closed) {
    const asked = tables.approvals.get(id);
    if (asked !== undefined) tables.approvals.set(id, { ...asked, status, respondedAtMs: run.atMs, ...defined({ respondedBy: by, notes }) });
  }
}

function approvalOf(tables: MemoryTables, { runId, tenantId, atMs }: RunCommit, asked: RunCommit['asked'][number]): ApprovalView & { tenantId: TenantId } {
  const { id, nodeId, agent, input, expiresAtMs, action, message } = asked;
  const workflowName = tables.runs.get(runId)?.summary.workflowName ?? '';
  const inputSha256 = createHash('sha256').update(JSON.stringify(input)).digest('hex');
  return { id, runId, tenantId, nodeId, agent, workflowName, input, inputSha256, status: 'PENDING', requestedAtMs: atMs, expiresAtMs, ...defined({ action, message }) };
}

function summaryOf(tables: MemoryTables, run: RunCommit, before: RunRow['summary'] | undefined): RunRow['summary'] {
  const { status, error, blocker, atMs } = run;
  const origin = before ?? run.origin;
  if (origin === undefined) throw new HiveError('INTERNAL', 'the first commit of a run names its origin');
  const { workflowId, workflowVersion, trigger, retryOf } = origin;
  const createdAtMs = before?.createdAtMs ?? atMs;
  const workflowName = tables.workflows.get(workflowId)?.head.name ?? before?.workflowName ?? '';
  const end = isTerminal(status) ? { finishedAtMs: atMs, durationMs: atMs - createdAtMs } : {};
  return { id: run.runId, workflowId, workflowName, workflowVersion, trigger, status, createdAtMs, startedAtMs: createdAtMs, blocker, ...end, ...defined({ error, retryOf }) };
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };
const defined = <T extends object>(value: T): Defined<T> => Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as Defined<T>;

function storedRunOf(tables: MemoryTables, runId: RunId): StoredRun | undefined {
  const run = tables.runs.get(runId);
  const definition = run === undefined ? undefined : tables.workflows.get(run.summary.workflowId)?.versions[run.summary.workflowVersion - 1]?.definition;
  if (run === undefined || definition === undefined) return undefined;
  const { workflowId, workflowVersion } = run.summary;
  return { runId, tenantId: run.tenantId, version: run.version, workflowId, workflowVersion, definition, commits: run.commits };
}

/** {@link TicketStore} over the tables. */
export function memoryTicketStore(tables: MemoryTables): TicketStore {
  const all = () => [...tables.tickets.values()];
  return {
    renew: async (worker, tickets) => new Set(tickets.filter(({ ticketId, token }) => tables.tickets.get(ticketId)?.token === token && tables.tickets.get(ticketId)?.workerId === worker).map(({ ticketId }) => ticketId)),
    release: async (worker, tickets) =>
      tickets.flatMap(({ ticketId, token }) => {
        const ticket = tables.tickets.get(ticketId);
        if (ticket === undefined || ticket.token !== token || ticket.workerId !== worker) return [];
        const free = { ...ticket, workerId: undefined, token: '' };
        tables.tickets.set(ticketId, free);
        return [free];
      }),
    expired: async () => [],
    ready: async () => all().filter(({ workerId }) => workerId === undefined),
    heldBy: async (worker) => all().filter(({ workerId }) => workerId === worker),
    ofRun: async (run) => all().filter(({ runId }) => runId === run).map(({ ticketId, requirement, workerId, leasedAtMs }) => ({ ticketId, requirement, workerId, leasedAtMs: workerId === undefined ? undefined : leasedAtMs })),
    counts: async () => ({ ready: all().filter(({ workerId }) => workerId === undefined).length, leased: all().filter(({ workerId }) => workerId !== undefined).length }),
  };
}

/** {@link RegistryStore} over the tables. */
export function memoryRegistryStore(tables: MemoryTables): RegistryStore {
  const { agents, workflows, nowMs } = tables;
  const present = () => [...workflows.values()].filter(({ isRemoved }) => isRemoved === undefined);
  const fits = (row: { id: string; name: string; projectId: number }, reference: Reference) => ('id' in reference ? row.id === reference.id : row.name === reference.name && row.projectId === (reference.projectId ?? 1));
  const workflowOf = (id: string): StoredWorkflow => mustFind(workflows.get(id)?.head, id);
  const change = (id: string, changes: Partial<StoredWorkflow>): StoredWorkflow => {
    const row = mustFind(workflows.get(id), id);
    row.head = { ...row.head, ...changes, updatedAtMs: nowMs() };
    return row.head;
  };
  const agentOf = ({ spec, ...rest }: Pick<StoredAgent, 'id' | 'tenantId' | 'projectId' | 'spec' | 'facade' | 'registeredAtMs'>): StoredAgent => {
    const agent = { ...rest, spec, name: spec.name, version: spec.version, trust: spec.trust, riskLevel: spec.riskLevel, updatedAtMs: nowMs() };
    agents.set(agent.id, agent);
    return agent;
  };
  return {
    allAgents: async () => [...agents.values()],
    agents: async (tenantId, projectId) => [...agents.values()].filter((agent) => agent.tenantId === tenantId && (projectId ?? agent.projectId) === agent.projectId),
    agent: async (tenantId, reference) => [...agents.values()].find((agent) => agent.tenantId === tenantId && fits(agent, reference)),
    addAgent: async (agent) => {
      refuseTwin([...agents.values()].some((other) => other.tenantId === agent.tenantId && fits(other, { name: agent.spec.name, projectId: agent.projectId })));
      return agentOf({ ...agent, registeredAtMs: nowMs() });
    },
    updateAgent: async ({ id, spec, facade }) => {
      const known = mustFind(agents.get(id), id);
      return agentOf({ ...known, spec, facade: facade ?? known.facade });
    },
    removeAgent: async (_tenantId, id) => agents.delete(id),
    workflowsUsing: async (_tenantId, agentName) => present().filter(({ head }) => head.definition.nodes.some(({ agent }) => agent === agentName)).map(({ head }) => head.name),
    workflows: async (tenantId, { projectId, status }) =>
      present().map(({ head }) => head).filter((head) => head.tenantId === tenantId && (projectId ?? head.projectId) === head.projectId && (status ?? head.status) === head.status),
    workflow: async (tenantId, reference, version) => {
      const row = present().find(({ head }) => head.tenantId === tenantId && fits(head, reference));
      const definition = version === undefined ? row?.head.definition : row?.versions[version - 1]?.definition;
      return row === undefined || definition === undefined ? undefined : { ...row.head, definition, version: version ?? row.head.version };
    },
    addWorkflow: async ({ id, tenantId, projectId, definition, sha256, facade }) => {
      refuseTwin(present().some(({ head }) => head.tenantId === tenantId && fits(head, { name: definition.name, projectId })));
      const head = { id, tenantId, projectId, definition, facade, name: definition.name, version: 1, status: 'ACTIVE' as const, createdAtMs: nowMs(), updatedAtMs: nowMs() };
      workflows.set(id, { head, versions: [{ definition, sha256 }] });
      return head;
    },
    addVersion: async ({ id, definition, sha256 }) => {
      const row = mustFind(workflows.get(id), id);
      if (row.versions.at(-1)?.sha256 === sha256) return row.head;
      row.versions.push({ definition, sha256 });
      return change(id, { definition, version: row.versions.length });
    },
    updateWorkflow: async ({ id, status, description }) => {
      const { facade = {}, status: before } = workflowOf(id);
      return change(id, { status: status ?? before, facade: description === undefined ? facade : { ...(facade as object), description } });
    },
    removeWorkflow: async (_tenantId, id) => {
      const row = workflows.get(id);
      if (row !== undefined) row.isRemoved = true;
      return row !== undefined;
    },
  };
}

function mustFind<T>(found: T | undefined, id: string): T {
  if (found === undefined) throw new HiveError('NOT_FOUND', `there is no ${id}`);
  return found;
}

function refuseTwin(isTwin: boolean): void {
  if (isTwin) throw new HiveError('ALREADY_EXISTS', 'something of that name exists already');
}

/** {@link KeyStore} over the tables. */
export const memoryKeyStore = (tables: MemoryTables): KeyStore => ({
  find: async (sha256) => tables.keys.get(Buffer.from(sha256).toString('hex')),
  put: async ({ tenantId, name, role, keySha256 }) => void tables.keys.set(Buffer.from(keySha256).toString('hex'), { tenantId, role, subject: `key:${name}` }),
});
