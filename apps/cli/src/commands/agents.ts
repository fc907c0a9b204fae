import { resolve } from 'node:path';
import type { AgentView } from '@hivekeeper/contract';
import type { Session } from '../session.ts';
import { tableText } from '../views/table.ts';
import { cutText, durationText } from '../views/words.ts';

/** `hive agents` */
export async function listAgents({ client, output, terminal }: Session): Promise<void> {
  const agents = await client.agents();
  const nowMs = terminal.clock.nowMs();
  const rows = () =>
    agents.map(({ name, version, trust, riskLevel, spec, breaker }) => [
      name,
      version,
      trust,
      riskLevel,
      spec.capabilities.map((capability) => actionText(capability, riskLevel)).join(' '),
      breakerText(breaker, nowMs),
      cutText(spec.description ?? '', 60),
    ]);
  const table = () => tableText(['AGENT', 'VERSION', 'TRUST', 'RISK', 'ACTIONS', 'BREAKER', 'DESCRIPTION'], rows(), output.colors);
  if (agents.length === 0) output.show(agents, () => 'No agents.', 'hive agents register <path>');
  else output.show(agents, table);
}

/** Where the breaker stands, and what it waits for. */
function breakerText(breaker: AgentView['breaker'], nowMs: number): string {
  if (breaker === undefined) return '';
  const { state, failureCount, nextTrialAtMs } = breaker;
  if (nextTrialAtMs !== undefined)
    return nextTrialAtMs > nowMs ? `${state}, trial in ${durationText(nextTrialAtMs - nowMs)}` : `${state}, trial due`;
  return failureCount === 0 ? state : `${state}, ${failureCount} failed`;
}

/** The action's name, with its risk where that is not the agent's. */
const actionText = (capability: AgentView['spec']['capabilities'][number], agentRisk: AgentView['riskLevel']): string =>
  capability.riskLevel === undefined || capability.riskLevel === agentRisk
    ? capability.name
    : `${capability.name} (${capability.riskLevel})`;

/** `hive agents register <path>` */
export async function registerAgent(
  { client, output, terminal }: Session,
  path: string,
  { name }: { readonly name?: string },
): Promise<void> {
  const agent = await client.registerAgent({ entryPath: resolve(terminal.workingDirectory, path), ...(name !== undefined && { name }) });
  output.show(agent, () => `${agent.name} ${agent.version} is registered (${agent.trust}, ${agent.riskLevel}).`, 'hive agents');
}

/** `hive agents remove <name>` */
export async function removeAgent({ client, output }: Session, name: string): Promise<void> {
  await client.removeAgent(name);
  output.show({ removed: name }, () => `${name} is removed.`);
}
