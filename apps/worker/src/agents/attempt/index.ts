/**
 * What attempts of agents of all kinds have in common.
 *
 * execution.ts  what executing a ticket means · executor.ts  input checked, then the way of the agent's kind
 * output.ts, judge.ts, schema.ts  what an output must be · failure.ts, blame.ts  what a failure says (all pure)
 */
export { type Told, toldFailure } from './blame.ts';
export { type ExecuteTicket, type Execution, type ExecutionHooks, type Finished, type SocketPaths } from './execution.ts';
export { type ExecuteKind, newExecutor, type Task } from './executor.ts';
export { failed, printable } from './failure.ts';
export { judge, type OutputRules } from './judge.ts';
export { parseOutput } from './output.ts';
export { newSchemaCheck, type SchemaCheck } from './schema.ts';
