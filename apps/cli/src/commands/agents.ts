import { resolve } from 'node:path';
import type { Session } from '../session.ts';
import { tableText } from '../views/table.ts';
import { cutText } from '../views/words.ts';

/** `hive agents` */
export async function listAgents({ client, output }: Session): Promise<void> {
  const agents = await client.agents();
  const rows = () =>
    agents.map(({ name, version, trust, riskLevel, spec }) => [
      name,
      version,
      trust,
      riskLevel,
      spec.capabilities.map((capability) => capability.name).join(' '),
      cutText(spec.description ?? '', 60),
    ]);
  output.show(agents, () =>
    agents.length === 0
      ? 'No agents.\n\nNext: hive agents register <path>'
      : tableText(['AGENT', 'VERSION', 'TRUST', 'RISK', 'ACTIONS', 'DESCRIPTION'], rows(), output.colors),
  );
}

/** `hive agents register <path>` */
export async function registerAgent(
  { client, output, terminal }: Session,
  path: string,
  { name }: { readonly name?: string },
): Promise<void> {
  const agent = await client.registerAgent({ entryPath: resolve(terminal.workingDirectory, path), ...(name !== undefined && { name }) });
  output.show(agent, () => `${agent.name} ${agent.version} is registered (${agent.trust}, ${agent.riskLevel}).\n\nNext: hive agents`);
}

/** `hive agents remove <name>` */
export async function removeAgent({ client, output }: Session, name: string): Promise<void> {
  await client.removeAgent(name);
  output.show({ removed: name }, () => `${name} is removed.`);
}
