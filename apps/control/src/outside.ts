/**
 * What is reached over other protocols than HTTP, each loaded only where it is set: an idle control plane stays small. A part of the
 * composition root.
 */
import { defaultTenantId, HiveError, type RunId } from '@hivekeeper/contract';
import { type Clock, idMaker, type Log, systemClock, systemRandom } from '@hivekeeper/kernel';
import { announcementOf } from './announcements.ts';
import type { MqttBrokerOptions } from './adapters/brokers/mqtt/mqtt-broker.ts';
import type { Verdict } from './adapters/nats/index.ts';
import type { ControlConfig } from './config.ts';
import type { Engine } from './engine.ts';
import type { Publication } from './flow/triggers/index.ts';
import { type OutboxStore, Relay } from './records/outbox/index.ts';

/** The registry over gRPC, where a port is set for it. @throws HiveError PORT_IN_USE */
export async function serveGrpc(parts: {
  readonly stack: AsyncDisposableStack;
  readonly engine: Engine;
  readonly config: Pick<ControlConfig, 'host' | 'grpcPort' | 'isOpen'>;
  readonly isDraining: () => boolean;
  readonly log: Log;
}): Promise<void> {
  const { stack, engine, isDraining, log } = parts;
  const { host, grpcPort: port, isOpen } = parts.config;
  if (port === undefined) return;
  const { openGrpcDoor } = await import('./grpc/index.ts');
  const newId = idMaker(systemClock, systemRandom);
  const own = { log, isDraining, newName: () => newId('agent') };
  const services = { ...engine.services, ...own, authentication: isOpen ? 'none' : 'api-key' } as const;
  const door = stack.use(await openGrpcDoor({ services, host, port }));
  log.info({ host, port: door.port }, 'the registry is served over gRPC');
}

/** What comes and goes over brokers, where any is set. */
export async function connectBrokers(parts: Parameters<typeof connectNats>[0] & Parameters<typeof takeTasks>[0]): Promise<void> {
  await takeTasks(parts);
  await connectNats(parts);
}

const usualSubjects = ['workflow.trigger.*', 'graph.>', 'health.>', 'hub.>'];

/** NATS, where it is set. It may be away: what happens meanwhile is told when it is back. */
export async function connectNats(parts: {
  readonly stack: AsyncDisposableStack;
  readonly engine: Engine;
  readonly outbox: OutboxStore;
  readonly config: Pick<ControlConfig, 'natsUrl' | 'natsSubjects'>;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<void> {
  const { stack, engine, outbox, clock, log } = parts;
  const { natsUrl: url, natsSubjects = [] } = parts.config;
  if (url === undefined) return;
  const { NatsBroker } = await import('./adapters/nats/index.ts');
  await outbox.open('nats');
  const subjects = [...new Set([...usualSubjects, ...natsSubjects])];
  const take = ({ eventId, ...event }: Omit<Publication, 'tenantId' | 'by' | 'dedupeKey'> & { readonly eventId?: string | undefined }) =>
    stored(engine, log, { ...event, tenantId: defaultTenantId, by: 'nats', dedupeKey: eventId });
  const broker = stack.use(new NatsBroker({ url, subjects, take, clock, log }));
  stack.use(
    new Relay({
      store: outbox,
      kinds: ['run.completed', 'approval.requested'],
      describe: (entry) => announcementOf(engine.services, entry),
      publish: (announcement) => broker.publish(announcement),
      isConnected: () => broker.isConnected(),
      clock,
      log,
    }),
  );
}

/** Tasks over MQTT for agents of the platform, where there is a broker. What ends while it is away is answered when it is back. */
export async function takeTasks(parts: {
  readonly stack: AsyncDisposableStack;
  readonly engine: Engine;
  readonly outbox: OutboxStore;
  readonly broker: MqttBrokerOptions | undefined;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<void> {
  const { stack, engine, outbox, broker, clock, log } = parts;
  if (broker === undefined) return;
  const [{ Tasks, TaskDoor }, { mqttTaskLine }] = await Promise.all([
    import('./flow/triggers/tasks/index.ts'),
    import('./adapters/brokers/mqtt/mqtt-task-line.ts'),
  ]);
  const tasks = new Tasks({ ...engine.services, log });
  const door = stack.use(new TaskDoor({ tasks, openLine: mqttTaskLine(broker), clock, log }));
  stack.use(
    new Relay({
      store: outbox,
      kinds: ['task.ended'],
      describe: ({ about }) => tasks.answerOf(about as RunId),
      publish: (answer) => door.say(answer),
      isConnected: () => door.isConnected(),
      clock,
      log,
    }),
  );
}

/** A message that says something else under an id that is taken will never be an event; anything else may pass. */
async function stored({ services }: Engine, log: Log, publication: Publication): Promise<Verdict> {
  try {
    await services.events.publish(publication);
    return 'stored';
  } catch (error) {
    log.warn({ err: error, type: publication.type }, 'a message could not be stored');
    return HiveError.is(error) && error.entry.consequence === 'terminal' ? 'useless' : 'later';
  }
}
