/**
 * `/v1`, one file per noun. Each checks nothing but shapes, asks one service, and shows the result as the contract says.
 *
 * workflows.ts, runs.ts, agents.ts, breakers.ts, approvals.ts, effects.ts, registry.ts, schedules.ts, events.ts, backups.ts, installation.ts, health.ts
 * run-orders.ts   what one run is ordered · reruns.ts  retries, forks, and orders for many · dead.ts  what failed for good
 * run-stream.ts   a run's events (SSE)   · event-frames.ts  what goes down the wire, and when it is too much
 * registry-stream.ts  what becomes of instances (SSE)
 * worker.ts       the worker protocol    · worker-lines.ts  long polls: what was sent, what was lost on the way
 * worker-ledger.ts  effects, steps and suspensions of agents at work
 * models.ts       the model gateway      · model-calls.ts  what it was asked, and what that cost
 * budgets.ts      caps on what may be spent
 * callbacks.ts    what agents behind HTTP came to
 * cloud-events.ts  CloudEvents as ours
 * open-ends.ts    calls that wait, so that they can be ended
 */
export { addAgents } from './agents.ts';
export { addApprovals } from './approvals.ts';
export { addBackups } from './backups.ts';
export { addBreakers } from './breakers.ts';
export { addKeys } from './keys.ts';
export { addCallbacks } from './callbacks.ts';
export { addEffects } from './effects.ts';
export { addEvents } from './events.ts';
export { addHealth } from './health.ts';
export { addInstallation } from './installation.ts';
export { OpenEnds } from './open-ends.ts';
export { addBudgets } from './budgets.ts';
export { addModelCalls } from './model-calls.ts';
export { addModels } from './models.ts';
export { addRegistry } from './registry.ts';
export { addRegistryStream } from './registry-stream.ts';
export { addBulkOrders, addReruns } from './reruns.ts';
export { addDeadTickets } from './dead.ts';
export { addRunOrders } from './run-orders.ts';
export { addRunStream } from './run-stream.ts';
export { addRuns } from './runs.ts';
export { addSchedules } from './schedules.ts';
export { addWorkerCalls } from './worker.ts';
export { addWorkerLedger } from './worker-ledger.ts';
export { addWorkflows } from './workflows.ts';
