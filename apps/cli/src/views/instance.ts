import type { Discovered, Health, InstanceChange, InstanceView } from '@hivekeeper/contract';
import type { Colors } from '../output.ts';
import { tableText } from './table.ts';
import { agoText, cutText, timeText } from './words.ts';

/** Instances, one a line. */
export const instancesTable = (instances: readonly InstanceView[], nowMs: number, colors: Colors): string =>
  tableText(
    ['INSTANCE', 'NAME', 'KIND', 'HEALTH', 'DUTY', 'SEEN', 'CAN'],
    instances.map((instance) => [
      instance.id,
      instance.name,
      instance.role ?? instance.kind,
      healthText(instance.health, colors),
      instance.duty,
      agoText(instance.lastSeenAtMs, nowMs),
      cutText(instance.capabilities.join(' '), 60),
    ]),
    colors,
  );

/** An instance, whole. */
export function instanceText(instance: InstanceView, nowMs: number, colors: Colors): string {
  const { id, name, kind, role, namespace, cluster, version, health, duty, order, telemetry } = instance;
  const why =
    order === undefined ? '' : `, by ${order.by} ${agoText(order.atMs, nowMs)}${order.reason === undefined ? '' : `: ${order.reason}`}`;
  const told = Object.entries(telemetry).map(([what, value]) => `${what} ${value}`);
  return [
    `${name}  ${role ?? kind} ${id}`,
    `health        ${healthText(health, colors)}, seen ${agoText(instance.lastSeenAtMs, nowMs)}, beats every ${instance.beatIntervalMs} ms`,
    `duty          ${duty}${why}`,
    `place         ${[namespace, ...(cluster === undefined ? [] : [cluster])].join(' / ')}${version === undefined ? '' : `, version ${version}`}`,
    `can           ${instance.capabilities.length === 0 ? 'nothing it names' : instance.capabilities.join(' ')}`,
    `registered    ${agoText(instance.registeredAtMs, nowMs)}, ${instance.registrationCount === 1 ? 'once' : `${instance.registrationCount} times`}`,
    ...(told.length === 0 ? [] : [`telemetry     ${told.join(', ')}`]),
    ...Object.entries(instance.metadata).map(([key, value]) => `${key.padEnd(13)} ${cutText(value, 100)}`),
    '',
    `${colors.dim('Next:')} hive registry ${duty === 'active' ? 'cordon' : 'uncordon'} ${id}`,
  ].join('\n');
}

/** Who fits, and why in this order. */
export function discoveredTable({ instances, matchCount }: Discovered, colors: Colors): string {
  const rows = instances.map(({ id, name, rank }) => [
    rank.score.toFixed(3),
    name,
    id,
    rank.parts.map(({ name: part, weight, value, because }) => `${part} ${weight} × ${value} (${because})`).join(' + '),
  ]);
  const rest = matchCount > instances.length ? `\n\n${matchCount - instances.length} more fit.` : '';
  return `${tableText(['SCORE', 'NAME', 'INSTANCE', 'BECAUSE'], rows, colors)}${rest}`;
}

/** What became of an instance, as a line. */
export const changeLine = ({ type, atMs, instance }: InstanceChange, colors: Colors): string =>
  `${colors.dim(timeText(atMs))}  ${type.slice('instance.'.length).padEnd(15)} ${instance.name}  ${healthText(instance.health, colors)}, ${instance.duty}  ${colors.dim(instance.id)}`;

function healthText(health: Health, colors: Colors): string {
  if (health === 'healthy') return colors.green(health);
  return health === 'degraded' ? colors.yellow(health) : colors.red(health);
}
