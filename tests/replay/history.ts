import type { ApprovalId, Blocker, NodeView, RunEvent, RunId, TicketId, WorkflowDefinition } from '@hivekeeper/contract';
import {
  blockerOf,
  carriedFrom,
  decide,
  errorOf,
  initialState,
  nodeViewsOf,
  planOf,
  type RunPlan,
  type RunState,
  runStatusOf,
  wakeAtOf,
} from '../../apps/control/src/flow/runs/core/index.ts';
import { createExpressions } from '../../apps/control/src/flow/runs/index.ts';

/** A journal as some version of the product wrote it, and what that version made of it. */
export interface History {
  readonly version: string;
  readonly about: string;
  readonly runId: RunId;
  /** As it is stored: with the defaults of its time. */
  readonly definition: WorkflowDefinition;
  readonly commits: readonly Commit[];
  readonly end: End;
}

/** The events of one commit, and where the run stood after it: what else is stored about the run must fit. */
export interface Commit {
  readonly events: readonly RunEvent[];
  readonly then: {
    readonly status: string;
    readonly wakeAtMs?: number | undefined;
    readonly waitsFor?: { readonly kind: Blocker['kind']; readonly nodeId?: string | undefined } | undefined;
    readonly liveTickets: readonly TicketId[];
    readonly pendingApprovals: readonly ApprovalId[];
  };
}

/** What anybody may ask of the run at the end. A version that knew less recorded less. */
export type End = ReturnType<typeof endOf>;

const { evaluate } = createExpressions();

// What views will tell besides, some day, is no part of the promise.
const whatIsKept = ({ id, status, output, error, isCarried, startedAtMs, finishedAtMs, attempts }: NodeView) => ({
  id,
  status,
  output,
  error,
  isCarried,
  startedAtMs,
  finishedAtMs,
  attempts: attempts.map((attempt) => ({
    ticketId: attempt.ticketId,
    slot: attempt.slot,
    attempt: attempt.attempt,
    status: attempt.status,
    input: attempt.input,
    output: attempt.output,
    error: attempt.error,
    issuedAtMs: attempt.issuedAtMs,
    finishedAtMs: attempt.finishedAtMs,
    workerId: attempt.workerId,
  })),
});

/** Folds the commits one after the other, as a control plane does that begins to read; gives what it makes of them. */
export function read({
  runId,
  definition,
  commits,
}: Pick<History, 'runId' | 'definition'> & { readonly commits: readonly Pick<Commit, 'events'>[] }) {
  const plan = planOf(definition);
  let state = initialState(runId, plan);
  const standings = commits.map(({ events }) => {
    for (const event of events) ({ state } = decide(state, event, { plan, evaluate }));
    return { events, then: standingOf(state) };
  });
  return { commits: standings, end: endOf(state, plan) };
}

const standingOf = (state: RunState): Commit['then'] => ({
  status: runStatusOf(state),
  wakeAtMs: wakeAtOf(state),
  waitsFor: waitsForOf(blockerOf(state)),
  liveTickets: state.tickets.filter(({ end }) => end === undefined).map(({ ticketId }) => ticketId),
  pendingApprovals: state.approvals.filter(({ isPending }) => isPending).map(({ approvalId }) => approvalId),
});

const waitsForOf = (blocker: Blocker | undefined): Commit['then']['waitsFor'] =>
  blocker === undefined ? undefined : { kind: blocker.kind, ...('nodeId' in blocker && { nodeId: blocker.nodeId }) };

const endOf = (state: RunState, plan: RunPlan) => ({
  error: errorOf(state),
  nodes: nodeViewsOf(state, plan).map(whatIsKept),
  toUndo: state.phase.kind === 'ended' ? state.phase.toUndo : undefined,
  carriedOver: carriedFrom(state, plan),
});
