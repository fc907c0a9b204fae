/**
 * What authors of agents and workflows import.
 *
 * agent-process.ts    an agent that is one function of its input · define-workflow.ts  a workflow in TypeScript
 * define-agent.ts     an agent whose code goes on after a crash; durable/ has what it is made of:
 *   context.ts          what the code may do · durable-context.ts, effect.ts  how · names.ts  which call is which
 *   activity.ts         what is under way · memo.ts  what is known from before · worker-socket.ts  the way to the worker
 */
export { type AgentCall, type AgentSurroundings, acceptRepositoryPath, reportCost, reportProgress, runAgent } from './agent-process.ts';
export { type AgentDefinition, type DefinedAgent, defineAgent } from './define-agent.ts';
export { defineWorkflow } from './define-workflow.ts';
export type { AgentContext, ApprovalAnswer, EffectCall, EffectOptions, Finding } from './durable/context.ts';
export { DependencyError, FinalError, NotDoneError } from './durable/errors.ts';
