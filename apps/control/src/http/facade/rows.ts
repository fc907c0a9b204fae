import {
  type ApprovalView,
  type AttemptView,
  type Failure,
  isTerminal,
  type JsonValue,
  type NodeDefinition,
  type NodeView,
  type RunSummary,
  type RunView,
} from '@hivekeeper/contract';
import type { StoredAgent, StoredWorkflow } from '../../records/registry/index.ts';
import {
  type AgentRow,
  type AgentRunRow,
  agentTypeSchema,
  type ApprovalRow,
  type NodeRow,
  type RunRow,
  type WorkflowRow,
} from './schemas.ts';

const instantOf = (atMs: number): string => new Date(atMs).toISOString();
const instantOrNull = (atMs: number | undefined): string | null => (atMs === undefined ? null : instantOf(atMs));

/** A field of what a facade's caller registered. */
const kept = (facade: JsonValue | undefined, name: string): JsonValue | undefined =>
  typeof facade === 'object' && facade !== null && !Array.isArray(facade)
    ? (facade as Readonly<Record<string, JsonValue>>)[name]
    : undefined;

/** An agent as a row. */
export function agentRowOf(agent: StoredAgent): AgentRow {
  const { id, spec, facade } = agent;
  const entryPath = kept(facade, 'entryPath');
  const type = agentTypeSchema.safeParse(kept(facade, 'type'));
  return {
    id,
    projectId: agent.projectId,
    name: spec.name,
    type: type.success ? type.data : 'SCRIPT',
    description: spec.description ?? null,
    entryPath: typeof entryPath === 'string' ? entryPath : (spec.directory ?? spec.entry),
    version: agent.version,
    riskLevel: agent.riskLevel,
    registeredAt: instantOf(agent.registeredAtMs),
    updatedAt: instantOf(agent.updatedAtMs),
    capabilities: spec.capabilities.map(
      ({ name, description = null, riskLevel = spec.riskLevel, inputSchema = null, outputSchema = null }) => ({
        id: `${id}.${name}`,
        agentId: id,
        name,
        description,
        riskLevel,
        inputSchema,
        outputSchema,
      }),
    ),
  };
}

/** Finds agents by what nodes call them. */
export class AgentRows {
  readonly #rows: ReadonlyMap<string, AgentRow>;

  constructor(agents: readonly StoredAgent[]) {
    this.#rows = new Map(agents.map((agent) => [agent.name, agentRowOf(agent)]));
  }

  /** The row, and the id to show: the name where the agent was removed since. */
  of(name: string): { readonly agentId: string; readonly agent: AgentRow | null } {
    const agent = this.#rows.get(name) ?? null;
    return { agentId: agent?.id ?? name, agent };
  }
}

/** A workflow as a row with its nodes. */
export function workflowRowOf(workflow: StoredWorkflow, agents: AgentRows): WorkflowRow {
  const { id, projectId, name, status, definition, facade } = workflow;
  const description = kept(facade, 'description');
  return {
    id,
    projectId,
    name,
    description: typeof description === 'string' ? description : (definition.description ?? null),
    trigger: definition.trigger ?? null,
    status,
    createdAt: instantOf(workflow.createdAtMs),
    updatedAt: instantOf(workflow.updatedAtMs),
    nodes: definition.nodes.map((node) => nodeRowOf(id, node, agents)),
  };
}

const nodeRowOf = (
  workflowId: string,
  { id, agent = '', action = '', input, needs, approval }: NodeDefinition,
  agents: AgentRows,
): NodeRow => ({
  id,
  workflowId,
  ...agents.of(agent),
  action,
  inputsJson: input,
  dependsOn: [...needs],
  approvalRequired: approval !== undefined && approval !== false,
});

/** A run as a row. */
export const runRowOf = (run: RunSummary): RunRow => ({
  id: run.id,
  workflowId: run.workflowId,
  trigger: run.trigger,
  status: run.status,
  startedAt: instantOf(run.startedAtMs ?? run.createdAtMs),
  finishedAt: instantOrNull(run.finishedAtMs),
  error: run.error?.message ?? null,
  errorCode: run.error?.code ?? null,
});

/**
 * Every attempt of a run as a row, oldest first. That interface knows no agent that gives its ticket back to wait: one that
 * waits is RUNNING, and one that went on is told by the attempt it went on with.
 */
export const agentRunRowsOf = (run: RunView, agents: AgentRows): AgentRunRow[] =>
  run.nodes
    .flatMap((node) => shownAttemptsOf(node).map((attempt) => ({ attempt, agent: node.agent ?? '' })))
    .sort((a, b) => a.attempt.issuedAtMs - b.attempt.issuedAtMs)
    .map(({ attempt, agent }) => ({ workflowRunId: run.id, ...attemptRowOf(attempt), ...agents.of(agent) }));

const shownAttemptsOf = ({ attempts, status }: NodeView): AttemptView[] =>
  attempts.flatMap((attempt) => {
    if (attempt.status !== 'SUSPENDED') return [attempt];
    const hasGoneOn = attempts.some((later) => later.slot === attempt.slot && later.attempt > attempt.attempt);
    if (hasGoneOn) return [];
    if (isTerminal(status)) return [{ ...attempt, status: 'CANCELLED' }];
    return [{ ...unended(attempt), status: 'RUNNING' }];
  });

const unended = ({ finishedAtMs: _, durationMs: __, ...attempt }: AttemptView): AttemptView => attempt;

const attemptRowOf = (attempt: AttemptView): Omit<AgentRunRow, 'workflowRunId' | 'agentId' | 'agent'> => ({
  id: attempt.ticketId,
  nodeId: attempt.nodeId,
  inputJson: attempt.input,
  outputJson: attempt.output ?? null,
  status: attempt.status,
  error: attempt.error === undefined ? null : faultTextOf(attempt.error),
  startedAt: instantOf(attempt.leasedAtMs ?? attempt.issuedAtMs),
  finishedAt: instantOrNull(attempt.finishedAtMs),
  durationMs: attempt.durationMs ?? null,
});

/** With the end of what the agent wrote to stderr: there is no other field that could tell it. */
const faultTextOf = ({ code, message, excerpt }: Failure): string =>
  `${code}: ${message}${excerpt === undefined ? '' : `\n${excerpt.trimEnd()}`}`;

/** An approval as a row. */
export const approvalRowOf = (approval: ApprovalView): ApprovalRow => ({
  id: approval.id,
  workflowRunId: approval.runId,
  nodeId: approval.nodeId,
  status: approval.status,
  requestedAt: instantOf(approval.requestedAtMs),
  expiresAt: instantOf(approval.expiresAtMs),
  respondedAt: instantOrNull(approval.respondedAtMs),
  respondedBy: approval.respondedBy === undefined ? null : namedIn(approval.respondedBy),
  notes: approval.notes ?? null,
});

const via = ' via ';

/** Who decided, for the record: the name that was given is only a claim, the key is known. */
export const recordedDecider = (respondedBy: string, subject: string): string => `${respondedBy}${via}${subject}`;

const namedIn = (decider: string): string => (decider.includes(via) ? decider.slice(0, decider.lastIndexOf(via)) : decider);
