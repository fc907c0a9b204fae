export { type AgentSurroundings, acceptRepositoryPath, reportProgress, runAgent } from './agent-process.ts';
