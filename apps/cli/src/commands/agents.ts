import { resolve } from 'node:path';
import type { AgentVersions, AgentView, MqttAgentView } from '@hivekeeper/contract';
import { HiveError } from '@hivekeeper/contract/hive-error';
import type { Session } from '../session.ts';
import { tableText } from '../views/table.ts';
import { breakerText } from '../views/breaker.ts';
import { cutText, durationText } from '../views/words.ts';

/** `hive agents` */
export async function listAgents({ client, output, terminal }: Session): Promise<void> {
  const agents = await client.agents();
  const nowMs = terminal.clock.nowMs();
  const registered = agents.flatMap((agent) => ('kind' in agent ? [] : [agent]));
  const overMqtt = agents.flatMap((agent) => ('kind' in agent ? [agent] : []));
  const tables = () => [
    ...(registered.length === 0 ? [] : [tableText(registeredHead, registered.map(registeredRow(nowMs)), output.colors)]),
    ...(overMqtt.length === 0 ? [] : [tableText(overMqttHead, overMqtt.map(overMqttRow(nowMs)), output.colors)]),
  ];
  if (agents.length === 0) output.show(agents, () => 'No agents.', 'hive agents register <path>');
  else output.show(agents, () => tables().join('\n\n'));
}

const registeredHead = ['AGENT', 'VERSION', 'KIND', 'TRUST', 'RISK', 'ACTIONS', 'BREAKER', 'DESCRIPTION'];

const registeredRow =
  (nowMs: number) =>
  ({ name, version, trust, riskLevel, spec, breaker }: AgentView): string[] => [
    name,
    version,
    spec.kind === 'process' ? spec.runtime : spec.kind,
    trust,
    riskLevel,
    spec.capabilities.map((capability) => actionText(capability, riskLevel)).join(' '),
    breaker === undefined ? '' : breakerText(breaker, nowMs),
    cutText(spec.description ?? '', 60),
  ];

const overMqttHead = ['AGENT OVER MQTT', 'STATE', 'REPLICAS', 'CAPABILITIES', 'HEARD', 'DESCRIPTION'];

const overMqttRow =
  (nowMs: number) =>
  ({ name, state, replicaCount, capabilities, heardAtMs, description = '' }: MqttAgentView): string[] => [
    name,
    state,
    String(replicaCount),
    capabilities.join(' '),
    `${durationText(nowMs - heardAtMs)} ago`,
    cutText(description, 60),
  ];

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

/** `hive agents versions <name>` */
export async function agentVersions(
  { client, output, terminal }: Session,
  name: string,
  { add }: { readonly add?: string },
): Promise<void> {
  const versions =
    add === undefined
      ? await client.agentVersions(name)
      : await client.addAgentVersion(name, { entryPath: resolve(terminal.workingDirectory, add) });
  output.show(versions, () => versionsText(versions, output));
}

/** `hive agents rollout <name> [version=weight...]` */
export async function rollOutAgent({ client, output }: Session, name: string, pairs: readonly string[]): Promise<void> {
  const versions = await client.rollOutAgent(name, { weights: Object.fromEntries(pairs.map(weightIn)) });
  output.show(versions, () => versionsText(versions, output));
}

function weightIn(pair: string): readonly [string, number] {
  const [, version, weight] = /^(.+)=(\d+(?:\.\d+)?)$/.exec(pair) ?? [];
  if (version === undefined) throw new HiveError('COMMAND_INVALID', `${pair}: expected a version and its weight, such as 2.0.0=10`);
  return [version, Number(weight)];
}

function versionsText({ name, currentVersion, versions }: AgentVersions, { colors }: Pick<Session['output'], 'colors'>): string {
  const rows = versions.map(({ version, shareRatio, directory = '' }) => [
    version,
    `${Math.round(shareRatio * 1_000) / 10} %`,
    version === currentVersion ? 'current' : '',
    directory,
  ]);
  return `${tableText(['VERSION', 'NEW RUNS', '', 'LIES AT'], rows, colors)}\n\n${colors.dim('Next:')} hive agents rollout ${name} <version>=<weight> …`;
}
