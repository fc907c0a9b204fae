export { type AgentCall, type AgentSurroundings, acceptRepositoryPath, reportProgress, runAgent } from './agent-process.ts';
export { defineWorkflow } from './define-workflow.ts';
