/**
 * The model gateway: calls of models, passed on to providers in the API they were made in.
 *
 * model-gateway.ts  one call, from the question to the answer · next-step.ts  who is asked next, pure · upstream.ts  one try at a provider
 * relayed-stream.ts  a stream on its way to the caller · account.ts  what a call used · price.ts, usage.ts  what that costs, pure
 * catalogue.ts  the models file · dialects/  the APIs · model-health.ts  breakers and rests · retry-budget.ts  how many tries more
 * tally.ts  calls added up for metrics
 * model-call.ts  what is kept of a call, and the port to budgets · call-log.ts  storing it in batches · model-call-store.ts  the port to that
 */
export { type KeySource, type ModelsFile, parseModelsFile } from './catalogue.ts';
export { CallLog, type CallLogOptions } from './call-log.ts';
export type { DialectName } from './dialects/index.ts';
export type { ModelBudget, ModelCaller, ModelCallRecord, ModelReservation, ModelTry } from './model-call.ts';
export type { ModelCallStore } from './model-call-store.ts';
export type { Tallied } from './tally.ts';
export { type ModelAnswer, ModelGateway, type ModelGatewayOptions } from './model-gateway.ts';
