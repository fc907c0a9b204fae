import {
  type ApprovalId,
  type Failure,
  HiveError,
  type JsonValue,
  type NodeStatus,
  type NodeView,
  type RunCreated,
  type RunEvent,
  type RunId,
  type RunNotice,
  type Suspension,
  type TicketId,
  type WorkflowInput,
  workflowDefinitionSchema,
} from '@hivekeeper/contract';
import { type Command, fold, initialState, nodeViewsOf, planOf, type RunRules, type RunState } from './index.ts';

export const testRunId = 'run_01JD0000000000000000000000' as RunId;

export type NodeInput = WorkflowInput['nodes'][number];

/** A node of a workflow, with what a test cares about. */
export const node = (id: string, more: Partial<NodeInput> = {}): NodeInput => ({ id, agent: 'worker', ...more });

/** The nodes for which tickets were issued. */
export const issued = (commands: readonly Command[]): string[] =>
  commands.flatMap((command) => (command.type === 'issue' ? [command.nodeId] : []));

interface SignalInput {
  readonly signalId?: string;
  readonly key?: string;
  readonly payload?: JsonValue;
}

/** A run that a test plays the world to: it answers tickets and approvals by the name of their node. */
export class RunUnderTest {
  readonly rules: RunRules;
  readonly journal: RunEvent[] = [];
  readonly commands: Command[] = [];
  readonly notices: RunNotice[] = [];
  state: RunState;
  nowMs = 1_000;

  constructor(workflow: WorkflowInput, evaluate: RunRules['evaluate'] = refuseExpressions) {
    const plan = planOf(workflowDefinitionSchema.parse(workflow));
    this.rules = { plan, evaluate };
    this.state = initialState(testRunId, plan);
  }

  /** Folds one event; gives the commands it led to. */
  send(event: RunEvent): readonly Command[] {
    const decision = fold(this.state, [event], this.rules);
    this.state = decision.state;
    this.journal.push(event);
    this.commands.push(...decision.commands);
    this.notices.push(...decision.notices);
    return decision.commands;
  }

  create(options: Partial<RunCreated> = {}): this {
    this.send({ type: 'run.created', atMs: this.nowMs, context: {}, ...options });
    return this;
  }

  succeed(nodeId: string, output: JsonValue = null, slot = 0): readonly Command[] {
    return this.send({ type: 'ticket.settled', atMs: this.nowMs, ticketId: this.ticketOf(nodeId, slot), outcome: { ok: true, output } });
  }

  fail(nodeId: string, error: Failure = { code: 'AGENT_FAILED', message: 'exit 1' }, slot = 0): readonly Command[] {
    return this.send({ type: 'ticket.settled', atMs: this.nowMs, ticketId: this.ticketOf(nodeId, slot), outcome: { ok: false, error } });
  }

  lose(nodeId: string, slot = 0): readonly Command[] {
    return this.send({ type: 'ticket.lost', atMs: this.nowMs, ticketId: this.ticketOf(nodeId, slot) });
  }

  suspend(nodeId: string, suspension: Suspension, slot = 0): readonly Command[] {
    return this.send({ type: 'ticket.suspended', atMs: this.nowMs, ticketId: this.ticketOf(nodeId, slot), suspension });
  }

  signal(name: string, { signalId = `${name} ${this.journal.length}`, key, payload = null }: SignalInput = {}): readonly Command[] {
    return this.send({ type: 'signal.received', atMs: this.nowMs, signalId, name, payload, by: 'ann', ...(key !== undefined && { key }) });
  }

  answer(nodeId: string, approved: boolean): readonly Command[] {
    return this.send({ type: 'approval.decided', atMs: this.nowMs, approvalId: this.approvalOf(nodeId), approved, by: 'ann' });
  }

  wake(atMs: number): readonly Command[] {
    this.nowMs = atMs;
    return this.send({ type: 'run.woken', atMs });
  }

  cancel(reason?: string): readonly Command[] {
    return this.send({ type: 'run.cancelled', atMs: this.nowMs, by: 'ann', ...(reason !== undefined && { reason }) });
  }

  /** The last ticket issued for a slot. */
  ticketOf(nodeId: string, slot = 0): TicketId {
    const issued = this.commands.findLast((command) => command.type === 'issue' && command.nodeId === nodeId && command.slot === slot);
    if (issued?.type !== 'issue') throw new HiveError('NOT_FOUND', `no ticket was issued for ${nodeId}`);
    return issued.ticketId;
  }

  approvalOf(nodeId: string): ApprovalId {
    const asked = this.commands.findLast((command) => command.type === 'request-approval' && command.nodeId === nodeId);
    if (asked?.type !== 'request-approval') throw new HiveError('NOT_FOUND', `no approval was requested for ${nodeId}`);
    return asked.approvalId;
  }

  node(id: string): NodeView {
    const view = nodeViewsOf(this.state, this.rules.plan).find((node) => node.id === id);
    if (view === undefined) throw new HiveError('NOT_FOUND', `no node ${id}`);
    return view;
  }

  statuses(): Record<string, NodeStatus> {
    return Object.fromEntries(nodeViewsOf(this.state, this.rules.plan).map((node) => [node.id, node.status]));
  }
}

function refuseExpressions(expression: string): JsonValue {
  throw new HiveError('TEMPLATE_UNRESOLVED', `no expressions here: ${expression}`);
}
