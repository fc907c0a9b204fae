/** What exists: agents and workflows. `registry-store.ts` is the port, agents.ts and workflows.ts are its faces, rollout.ts says who gets which version. */
export { type AgentFiles, type AgentReference, type AgentRegistration, AgentRegistry } from './agents.ts';
export type { ProjectId, Reference, RegistryStore, StoredAgent, StoredWorkflow } from './registry-store.ts';
export { mostRollouts, type Rollout, type Versioned } from './rollout.ts';
export { type CheckWorkflow, WorkflowRegistry } from './workflows.ts';
