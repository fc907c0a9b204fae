import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import {
  discoverSchema,
  HiveError,
  type InstanceId,
  instanceIdSchema,
  registerInstanceSchema,
  telemetrySchema,
} from '@hivekeeper/contract';
import type { z } from 'zod';
import type { Events } from '../flow/triggers/index.ts';
import type { Instances } from '../records/instances/index.ts';
import { type Calls, told } from './calls.ts';
import {
  agentInfoOf,
  changeEventOf,
  type RegisterMessage,
  registrationIn,
  roleOf,
  searchIn,
  type SearchMessage,
  statusOf,
  type TelemetryMessage,
  telemetryIn,
} from './messages.ts';

/** What stands behind the registry's door. */
export interface RegistryServices {
  readonly instances: Instances;
  readonly events: Events;
  /** Names an agent that gives no name. */
  readonly newName: () => string;
  readonly isDraining: () => boolean;
}

interface AboutAgent {
  readonly agent_id: string;
}

/** Neural Hive's `ServiceRegistry` over our instances. Translates at the edge, and owns no logic. */
export const serviceRegistry = (services: RegistryServices, calls: Calls): UntypedServiceImplementation => ({
  ...presence(services, calls),
  ...finding(services, calls),
  ...watching(services, calls),
});

const presence = ({ instances, newName, isDraining }: RegistryServices, { unary }: Calls): UntypedServiceImplementation => ({
  Register: unary('instance', async ({ tenantId, subject }, message: RegisterMessage) => {
    if (isDraining()) throw new HiveError('SHUTTING_DOWN');
    const { telemetry, ...description } = checked(registerInstanceSchema, registrationIn(message, newName));
    const instance = await instances.register({ tenantId, description, telemetry, by: subject });
    return { agent_id: instance.id, registration_token: String(instance.registrationCount), registered_at: instance.registeredAtMs };
  }),

  Heartbeat: unary('instance', async ({ tenantId }, message: AboutAgent & { readonly telemetry: TelemetryMessage | null }, metadata) => {
    const token = told(metadata, 'registration-token');
    const telemetry = message.telemetry === null ? undefined : checked(telemetrySchema, telemetryIn(message.telemetry));
    const id = idIn(message);
    if (token !== undefined && !/^\d{1,9}$/.test(token))
      throw new HiveError('INVALID_REQUEST', 'registration-token: not one that Register gave');
    const registration = token === undefined ? {} : { registration: Number(token) };
    const { lastSeenAtMs } = instances.beat({ tenantId, id, ...registration, ...(telemetry !== undefined && { telemetry }) });
    return { status: statusOf('healthy'), last_seen: lastSeenAtMs };
  }),

  Deregister: unary('instance', async ({ tenantId, subject }, message: AboutAgent) => {
    await instances.deregister({ tenantId, id: idIn(message), by: subject });
    return { success: true };
  }),
});

const finding = ({ instances }: RegistryServices, { unary }: Calls): UntypedServiceImplementation => ({
  DiscoverAgents: unary('instance', async ({ tenantId }, message: SearchMessage) => ({
    agents: instances.discover(tenantId, checked(discoverSchema, searchIn(message))).instances.map(agentInfoOf),
    ranked: true,
  })),

  GetAgent: unary('instance', async ({ tenantId }, message: AboutAgent) => ({
    agent: agentInfoOf(instances.get(tenantId, idIn(message))),
  })),

  ListAgents: unary('instance', async ({ tenantId }, message: Pick<RegisterMessage, 'agent_type'> & Pick<SearchMessage, 'filters'>) => {
    const role = roleOf(message.agent_type);
    const { filter } = checked(discoverSchema, searchIn({ capabilities: [], filters: message.filters, max_results: 0 }));
    const agents = instances.select(tenantId, filter).map(agentInfoOf);
    return { agents: agents.filter(({ agent_type }) => role === undefined || agent_type.toLowerCase() === role) };
  }),
});

const watching = ({ instances, events }: RegistryServices, { unary, stream }: Calls): UntypedServiceImplementation => ({
  WatchAgents: stream('instance', ({ tenantId }, message: Pick<RegisterMessage, 'agent_type'>, write) => {
    const role = roleOf(message.agent_type);
    return instances.follow(tenantId, (change) => {
      const event = changeEventOf(change);
      const isAsked = role === undefined || event.agent.agent_type.toLowerCase() === role;
      if (isAsked && change.type !== 'instance.present') write(event);
    });
  }),

  // It may start runs, as whatever is published may: for that an agent's key is not enough.
  NotifyAgent: unary('publish', async ({ tenantId, subject }, message: NotifyMessage) => {
    const id = idIn(message);
    instances.get(tenantId, id);
    const payload = { notificationType: message.notification_type, message: message.message, metadata: { ...message.metadata } };
    await events.publish({ tenantId, type: 'agent.notified', key: id, payload, by: subject });
    return { success: true, error: '' };
  }),
});

interface NotifyMessage extends AboutAgent {
  readonly notification_type: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}

const idIn = ({ agent_id }: AboutAgent): InstanceId => {
  const id = instanceIdSchema.safeParse(agent_id);
  if (!id.success) throw new HiveError('INVALID_REQUEST', `agent_id: ${id.error.issues[0]?.message ?? 'not an id'}`);
  return id.data;
};

/** What the schema makes of it. @throws HiveError INVALID_REQUEST naming every field at fault */
function checked<Schema extends z.ZodType>(schema: Schema, value: z.input<Schema>): z.output<Schema> {
  const { data, error } = schema.safeParse(value);
  if (error === undefined) return data as z.output<Schema>;
  const issues = error.issues.map(({ path, message }) => ({ path: `/${path.join('/')}`, message }));
  throw new HiveError('INVALID_REQUEST', issues.map(({ path, message }) => `${path}: ${message}`).join('; '), { issues });
}
