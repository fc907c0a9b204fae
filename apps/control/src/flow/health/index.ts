/**
 * Whether work moves, and which part holds it up where it does not.
 *
 * health.ts      what is stalled: wanted, and without progress for fourteen rounds
 * signs.ts       what lane, driver, desk and queues say of themselves
 * canaries.ts    a ticket of ours through every queue · canary-run.ts  the run it is, under a tenant of its own
 */
export { Canaries, type CanaryEnd } from './canaries.ts';
export { canaryQueues, registerCanaries, sendCanary } from './canary-run.ts';
export { Health, remedies } from './health.ts';
export { Pulse, signsOf } from './signs.ts';
