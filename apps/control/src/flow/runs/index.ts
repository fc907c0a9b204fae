/**
 * Runs: a pure state machine (core/), folded and stored by one lane.
 *
 * core/           decide(state, event) → state, commands, notices; no clock, no I/O, no randomness
 * expressions.ts  `when` and template expressions (CEL)
 * live-runs.ts    runs in memory, a cache of their journals
 * run-work.ts     what one batch does to one run · lane.ts  the group commit
 * runs.ts         what callers may do · explain.ts  why a run waits · notices.ts  telling watchers
 * run-store.ts    the port to the database · driver.ts  the port that wakes runs
 */
export { checkWorkflow } from './core/index.ts';
export type { Driver } from './driver.ts';
export { explain } from './explain.ts';
export { createExpressions, type Expressions } from './expressions.ts';
export { RunLane } from './lane.ts';
export { capabilityFor, LiveRuns } from './live-runs.ts';
export { NoticeBoard, type NumberedNotice } from './notices.ts';
export type {
  AskedApproval,
  ClosedApproval,
  CommitResult,
  LeaseClaim,
  RunCommit,
  RunFilter,
  RunOrigin,
  RunStore,
  StoredRun,
} from './run-store.ts';
export { type NewRun, Runs } from './runs.ts';
