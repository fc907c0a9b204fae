/**
 * Runs: a pure state machine (core/), folded and stored by one lane.
 *
 * core/           decide(state, event) → state, commands, notices; no clock, no I/O, no randomness
 * expressions.ts  `when` and template expressions (CEL)
 * live-runs.ts    runs in memory, a cache of their journals
 * run-work.ts     what one batch does to one run · lane.ts  the group commit
 * runs.ts         what the platform and its workers do to runs · orders.ts  what people order
 * suspensions.ts  agents that wait, and the news of effects for them · callbacks.ts  what agents say that answered 202
 * turns.ts        who goes next where runs take turns · turn-store.ts  its port · consequences.ts  what a commit means to others
 * explain.ts      why a run waits · watching/  telling watchers, also of what other control planes commit
 * run-store.ts    the port to the database · driver.ts  the port that wakes runs · run-census.ts  the port that counts runs
 */
export { type CallbackKey, Callbacks } from './callbacks.ts';
export { checkWorkflow } from './core/index.ts';
export type { Driver } from './driver.ts';
export { type AgentOverMqtt, explain } from './explain.ts';
export { createExpressions, type Expressions } from './expressions.ts';
export { RunLane } from './lane.ts';
export { capabilityFor, LiveRuns } from './live-runs.ts';
export type {
  AskedApproval,
  ClosedApproval,
  AwaitedEvent,
  CommitResult,
  DeadTicket,
  JournalRow,
  LeaseClaim,
  RunCommit,
  RunFilter,
  RunOrigin,
  RunSelection,
  RunStore,
  StoredRun,
} from './run-store.ts';
export type { RunConsequences } from './consequences.ts';
export { Turns } from './turns.ts';
export type { TurnDecision, TurnKey, TurnQueue, TurnStore, Waiter } from './turn-store.ts';
export { type Decision, type EventOffer, type Order, RunOrders, type SignalOrder } from './orders.ts';
export { type NewRun, Runs } from './runs.ts';
export { imbalanceOf, overdueAfterMs, type RunCensus, type RunCounts } from './run-census.ts';
export { Suspensions } from './suspensions.ts';
export { NoticeBoard, type PeerLine, Peers, type RunNews, type Watcher } from './watching/index.ts';
