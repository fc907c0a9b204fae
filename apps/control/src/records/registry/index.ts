/** What exists: agents and workflows. `registry-store.ts` is the port, the other files its two faces. */
export { type AgentFiles, type AgentReference, type AgentRegistration, AgentRegistry } from './agents.ts';
export type { ProjectId, Reference, RegistryStore, StoredAgent, StoredWorkflow } from './registry-store.ts';
export { type CheckWorkflow, WorkflowRegistry } from './workflows.ts';
