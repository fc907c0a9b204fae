/**
 * The run as a pure state machine: events in; state, commands and notices out. No clock, no I/O, no randomness, so that
 * folding a journal again gives the same state for ever.
 *
 * plan.ts       a workflow version, read once        · check.ts, graph.ts  whether a workflow can run
 * state.ts      the state and its transition tables  · views.ts            the state in the words of the API
 * decide.ts     event → transition                   · news.ts             which events change anything
 * draft.ts      the one copy a fold works on, and its commands
 * nodes.ts      starting, gating, ending nodes       · slots.ts            results, losses, retries
 * waits.ts, node-waits.ts  what slots wait for, and how it is shown · approvals.ts  what people decide
 * compensation.ts  undoing                           · carry.ts            what a later run need not do again
 * ledger.ts     issuing and closing tickets and approvals · due.ts, backoff.ts  what happens later, and when
 * turn.ts       what a run takes its turn at
 * templates/    `{{ … }}`: reading, checking, resolving
 */
export { type CheckPorts, checkWorkflow } from './check.ts';
export { type Decision, decide, fold, initialState } from './decide.ts';
export type { Command, RunRules } from './draft.ts';
export { planOf, type RunPlan } from './plan.ts';
export type { RunState } from './state.ts';
export { carriedFrom } from './carry.ts';
export { agentOfTicket, workOfTicket } from './ledger.ts';
export { turnOf } from './turn.ts';
export { awaitsEvent, eventPrefix, maxSignalsPerRun } from './waits.ts';
export { blockerOf, errorOf, nodeViewsOf, runStatusOf, wakeAtOf } from './views.ts';
