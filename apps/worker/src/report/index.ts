/** Speaks to the control plane: the port to it, and delivery of results until they are taken or no longer wanted. */
export { type LedgerApi, type WorkerApi } from './worker-api.ts';
export { type Deliver, type DeliverOptions, type Receipt, type Report, newDeliver } from './deliver.ts';
export { backoffMs } from './backoff.ts';
