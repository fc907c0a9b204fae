import type { Discover, Health, InstanceChange, InstanceView, RegisterInstance, Telemetry } from '@hivekeeper/contract';

/** Messages of service_registry.proto as the loader gives them: every field is there, 64-bit numbers are numbers, enums their names. */
export interface TelemetryMessage {
  readonly success_rate: number;
  readonly avg_duration_ms: number;
  readonly total_executions: number;
  readonly failed_executions: number;
  readonly last_execution_at: number;
}

type AgentType = 'AGENT_TYPE_UNSPECIFIED' | 'WORKER' | 'SCOUT' | 'GUARD' | 'ANALYST';
type Words = Readonly<Record<string, string>>;

/** `RegisterRequest` */
export interface RegisterMessage {
  readonly agent_type: AgentType;
  readonly capabilities: readonly string[];
  readonly metadata: Words;
  readonly namespace: string;
  readonly cluster: string;
  readonly version: string;
  readonly telemetry: TelemetryMessage | null;
}

/** `DiscoverRequest`, and `ListAgentsRequest` as far as they are alike. */
export interface SearchMessage {
  readonly capabilities: readonly string[];
  readonly filters: Words;
  readonly max_results: number;
}

const types: readonly AgentType[] = ['WORKER', 'SCOUT', 'GUARD', 'ANALYST'];
const schemaVersion = 1;
// Its agents were dropped after 120 s; at 3.5 intervals ours are after 105.
const beatIntervalMs = 30_000;
const defaultLimit = 50;

/** What the message registers; unchecked. An agent without a name is a new one each time. */
export function registrationIn(message: RegisterMessage, newName: () => string): RegisterInstance {
  const { agent_type, capabilities, metadata, namespace, cluster, version, telemetry } = message;
  const { name = newName(), beat_interval_ms, ...rest } = metadata;
  return {
    name,
    beatIntervalMs: beat_interval_ms === undefined ? beatIntervalMs : Number(beat_interval_ms),
    capabilities: [...capabilities],
    metadata: rest,
    ...given({ role: roleOf(agent_type), namespace, cluster, version }),
    ...(telemetry !== null && { telemetry: telemetryIn(telemetry) }),
  };
}

/** What the message tells. Without executions its ratio is 0, which says nothing. */
export function telemetryIn(message: TelemetryMessage): Telemetry {
  const { success_rate, avg_duration_ms, total_executions, failed_executions, last_execution_at } = message;
  return {
    executionCount: total_executions,
    failureCount: failed_executions,
    successRatio: success_rate,
    meanDurationMs: avg_duration_ms,
    ...(last_execution_at !== 0 && { lastExecutionAtMs: last_execution_at }),
  };
}

/** What the message looks for; unchecked. */
export function searchIn({ capabilities, filters, max_results }: SearchMessage): Discover {
  const { namespace, cluster, version, agent_type, ...metadata } = filters;
  const role = agent_type === undefined ? undefined : agent_type.toLowerCase();
  return {
    capabilities: [...capabilities],
    filter: { ...given({ namespace, cluster, version, role }), metadata },
    limit: max_results === 0 ? defaultLimit : max_results,
  };
}

/** The role of an agent's type; undefined where it says none. */
export const roleOf = (type: AgentType): string | undefined => (type === 'AGENT_TYPE_UNSPECIFIED' ? undefined : type.toLowerCase());

/** An instance as `AgentInfo`. */
export const agentInfoOf = (instance: InstanceView) => ({
  agent_id: instance.id,
  agent_type: typeOf(instance),
  capabilities: instance.capabilities,
  metadata: { ...instance.metadata, name: instance.name, duty: instance.duty },
  telemetry: telemetryMessageOf(instance.telemetry),
  status: statusOf(instance.health),
  registered_at: instance.registeredAtMs,
  last_seen: instance.lastSeenAtMs,
  namespace: instance.namespace,
  cluster: instance.cluster ?? '',
  version: instance.version ?? '',
  schema_version: schemaVersion,
});

function telemetryMessageOf(telemetry: Telemetry): TelemetryMessage {
  const { executionCount = 0, failureCount = 0, successRatio = 0, meanDurationMs = 0, lastExecutionAtMs = 0 } = telemetry;
  return {
    success_rate: executionCount > 0 ? (executionCount - failureCount) / executionCount : successRatio,
    avg_duration_ms: Math.round(meanDurationMs),
    total_executions: executionCount,
    failed_executions: failureCount,
    last_execution_at: lastExecutionAtMs,
  };
}

/** `AgentStatus`. Whoever is gone is still known by its id, and unhealthy. */
export function statusOf(health: Health): 'HEALTHY' | 'UNHEALTHY' | 'DEGRADED' {
  if (health === 'healthy') return 'HEALTHY';
  return health === 'degraded' ? 'DEGRADED' : 'UNHEALTHY';
}

const typeOf = ({ kind, role }: InstanceView): AgentType =>
  kind === 'worker' ? 'WORKER' : (types.find((type) => type.toLowerCase() === role) ?? 'AGENT_TYPE_UNSPECIFIED');

const eventTypes: Readonly<Record<InstanceChange['type'], string>> = {
  'instance.present': 'REGISTERED',
  'instance.registered': 'REGISTERED',
  'instance.updated': 'UPDATED',
  'instance.health-changed': 'STATUS_CHANGED',
  'instance.duty-changed': 'UPDATED',
  'instance.deregistered': 'DEREGISTERED',
};

/** A change as `AgentChangeEvent`. */
export const changeEventOf = ({ type, atMs, instance }: InstanceChange) => ({
  event_type: eventTypes[type],
  agent: agentInfoOf(instance),
  timestamp: atMs,
});

/** Without what is empty: a string that was not sent is one. */
const given = <Key extends string>(words: Readonly<Record<Key, string | undefined>>): Partial<Record<Key, string>> =>
  Object.fromEntries(Object.entries(words).filter(([, value]) => value !== undefined && value !== '')) as Partial<Record<Key, string>>;
