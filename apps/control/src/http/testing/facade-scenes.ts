import type { Door } from './door.ts';

/** An agent as this interface's clients describe it. */
export const scanner = {
  projectId: 1,
  name: 'scanner',
  type: 'SCRIPT',
  description: 'finds things',
  entryPath: '/agents/scanner',
  version: '1.0.0',
  riskLevel: 'AUTO',
  capabilities: [{ name: 'scan', inputSchema: { type: 'object' }, outputSchema: { type: 'object' } }],
};

/** Registers it; gives its id. */
export const createAgent = async (door: Door, changes: object = {}): Promise<string> =>
  (await door.call('POST /api/agents', { body: { ...scanner, ...changes } })).body.id;

/** A workflow of two nodes, the second fed by the first, both done by the agent. */
export const review = (agentId: string, changes: object = {}) => ({
  projectId: 1,
  name: 'review',
  trigger: { type: 'manual' },
  nodes: [
    { agentId, action: 'scan', inputsJson: { target: '{{ context.target }}' }, _symbolicId: 'scan' },
    { agentId, action: 'scan', inputsJson: { total: '{{ nodes.scan.output.total }}' }, dependsOn: ['scan'], _symbolicId: 'notify' },
  ],
  ...changes,
});

/** Registers the agent and its workflow; gives the workflow's id. */
export const createWorkflow = async (door: Door, changes: object = {}): Promise<string> =>
  (await door.call('POST /api/workflows', { body: review(await createAgent(door), changes) })).body.id;

/** Starts a run; gives its id. */
export const trigger = async (door: Door, id: string, body: object = { contextJson: { target: '/repo' } }): Promise<string> =>
  (await door.call(`POST /api/workflows/${id}/trigger`, { body })).body.workflowRunId;
