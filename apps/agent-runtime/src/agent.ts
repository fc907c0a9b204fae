import { type Bus, type BusEvent, type IncomingMessage, openBus, type Subscription } from '@hivekeeper/bus';
import { everyStatusFilter, inputTopic, statusTopic } from '@hivekeeper/contract/agent2389';
import { type Clock, type Random, pause } from '@hivekeeper/kernel';
import type { AgentFile } from './config/index.ts';
import { Journal } from './journal/index.ts';
import { modelOf } from './models/index.ts';
import { type AgentLog, Metrics, type ProbeServer, startProbeServer } from './observe/index.ts';
import { Neighbours, Presence } from './presence/index.ts';
import { routerOf } from './routers/index.ts';
import type { AgentSettings } from './settings.ts';
import { openToolBox } from './tools/index.ts';
import { Routing, Workshop } from './workshop/index.ts';

/** What an agent is started with. */
export interface AgentOptions {
  readonly file: AgentFile;
  readonly settings: AgentSettings;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: AgentLog;
}

/** A running agent. */
export interface Agent {
  readonly probePort: number;
  /** Finishes what is under way, says goodbye and ends. What it owes after that is in its journal, or with its peers. */
  drain(): Promise<void>;
}

// The most that 2389 agents take.
const maximumPacketBytes = 262_144;
const goodbyeMs = 2_000;

/** Starts an agent: its journal, tools and model, then its probes, then the broker. @throws HiveError */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { file, settings, clock, random, log, environment } = options;
  const metrics = new Metrics(clock);
  await using stack = new AsyncDisposableStack();
  const journal = stack.use(new Journal(settings.state ?? `.hivekeeper/agents/${file.agent.id}`));
  journal.prune();
  const model = await modelOf(file.llm, { clock, environment });
  await model.check(AbortSignal.timeout(file.llm.request_timeout_secs * 1_000));
  const tools = stack.use(await openToolBox(file, { clock, environment, metrics }));
  metrics.become('initialized');
  const { name: replica, before } = journal.start(() => `${file.agent.id}-${Buffer.from(random.bytes(6)).toString('hex')}`);
  metrics.restarted(before);
  const neighbours = new Neighbours();
  const routing = file.routing && new Routing({ ...routingParts(options, neighbours), router: await routerOf(file.routing, options) });
  const parts: Parts = { ...options, metrics, journal, replica, ...(routing !== undefined && { routing }) };
  // The bus comes last, because it calls the others; they call it only when it has called them.
  const publish = (...given: Parameters<Bus['publish']>) => bus.publish(...given);
  const presence = presenceOf(parts, model.isSimulated, publish);
  const workshop = workshopOf(parts, { model, tools, systemPrompt: file.llm.system_prompt, ...limitsOf(file), clock }, publish);
  const isReady = () => metrics.isConnected && metrics.state === 'running';
  const probes = stack.use(await probesOf(parts, workshop, isReady));
  const bus = openBus({
    ...{ url: file.mqtt.broker_url, clientId: replica, maximumPacketBytes, clock, random },
    ...credentialsOf(file, environment),
    session: { expirySeconds: file.mqtt.session_expiry_secs },
    will: () => presence.will(),
    subscriptions: subscriptionsOf(parts, { workshop, presence, neighbours }),
    onEvent: (event) => onBusEvent(event, parts, { presence, workshop }),
  });
  log.info('Agent started', { replica, model: model.name, probe_port: probes.port });
  const kept = stack.move();
  return {
    probePort: probes.port,
    drain: async () => {
      metrics.become('stopping');
      await leave(parts, { bus, presence, workshop });
      await kept.disposeAsync();
      metrics.become('stopped');
      log.info('Agent stopped');
    },
  };
}

const routingParts = ({ file, clock, random }: AgentOptions, neighbours: Neighbours) => ({
  ...{ agentId: file.agent.id, clock, random },
  neighbours: () => neighbours.all(),
});

interface Parts extends AgentOptions {
  readonly routing?: Routing;
  readonly metrics: Metrics;
  readonly journal: Journal;
  readonly replica: string;
}

/** Its input, shared with its replicas; its own status, to count them; the status of all, where a router wants to know who is there. */
function subscriptionsOf(
  { file: { agent }, routing }: Parts,
  { workshop, presence, neighbours }: { readonly workshop: Workshop; readonly presence: Presence; readonly neighbours: Neighbours },
): Subscription[] {
  const status = { qos: 1, wantsRetained: true } as const;
  return [
    {
      ...{ filter: inputTopic(agent.id), qos: 1, wantsRetained: false, sharedBy: agent.id },
      take: (message) => workshop.take(message),
    },
    { ...status, filter: statusTopic(agent.id), take: ({ payload }) => presence.hear(payload) },
    ...(routing === undefined
      ? []
      : [{ ...status, filter: everyStatusFilter, take: ({ payload }: IncomingMessage) => neighbours.hear(payload) }]),
  ];
}

type Publish = Bus['publish'];

const limitsOf = ({ agent, budget }: AgentFile) => ({
  budget: { maxModelCalls: budget.max_iterations, maxToolCalls: budget.max_tool_calls },
  taskTimeoutMs: agent.task_timeout_secs * 1_000,
});

const presenceOf = ({ file, replica, clock, metrics }: Parts, isSimulated: boolean, publish: Publish): Presence =>
  new Presence({
    ...{ agentId: file.agent.id, description: file.agent.description, capabilities: file.agent.capabilities },
    ...{ replica, isSimulated, clock, publish, heartbeatMs: file.mqtt.heartbeat_interval_secs * 1_000 },
    onHeartbeat: () => metrics.heartbeat(),
  });

const workshopOf = (
  { file, journal, metrics, clock, log, routing }: Parts,
  means: ConstructorParameters<typeof Workshop>[0]['means'],
  publish: Publish,
) =>
  new Workshop({
    ...{ agentId: file.agent.id, concurrency: file.agent.concurrency, means, journal, metrics, clock, log: log.of('task') },
    ...(routing !== undefined && { routing }),
    publish: ({ topic, payload }) => publish({ topic, payload, qos: 1 }),
    tell: (topic, payload) => void publish({ topic, payload, qos: 0 }),
  });

const probesOf = ({ file, settings, metrics, journal, clock }: Parts, workshop: Workshop, isReady: () => boolean): Promise<ProbeServer> =>
  startProbeServer(
    { host: settings.healthHost, port: settings.healthPort },
    {
      ...{ clock, isReady, metrics: () => metrics.snapshot(), onHealthAsked: () => metrics.healthChecked() },
      vitals: () => ({
        ...{ agentId: file.agent.id, nowMs: clock.nowMs(), uptimeSeconds: metrics.uptimeSeconds, isConnected: metrics.isConnected },
        ...{ lastTaskAtMs: metrics.lastTaskAtMs, unfinishedTasks: journal.unfinished() },
        ...(workshop.fault !== undefined && { fault: workshop.fault }),
      }),
    },
  );

function credentialsOf({ mqtt }: AgentFile, environment: AgentOptions['environment']) {
  const username = mqtt.username_env === undefined ? undefined : environment[mqtt.username_env];
  const password = mqtt.password_env === undefined ? undefined : environment[mqtt.password_env];
  return username === undefined ? {} : { credentials: { username, ...(password !== undefined && { password }) } };
}

function onBusEvent(
  event: BusEvent,
  { metrics, log: root }: Parts,
  { presence, workshop }: { presence: Presence; workshop: Workshop },
): void {
  const log = root.of('transport::mqtt');
  switch (event.kind) {
    case 'connecting':
      return metrics.connecting();
    case 'ready':
      metrics.connected();
      log.info('MQTT connected and subscribed', { shared: event.isShared });
      if (!event.isShared) log.warn('This broker shares no subscriptions: with several replicas each gets every task');
      presence.announce();
      if (metrics.state !== 'initialized') return;
      metrics.become('running');
      return workshop.open();
    case 'lost':
      metrics.disconnected(event.wasReady);
      presence.pause();
      return log.error('MQTT connection lost', { reason: event.reason, retry_in_ms: event.retryInMs });
    case 'received':
      return metrics.counted('messages_received');
    case 'published':
      return metrics.counted('messages_published');
    case 'publishFailed':
      metrics.counted('publish_failures');
      return log.debug('MQTT publish failed', { topic: event.topic, reason: event.reason });
    case 'notTaken':
      return log.error('MQTT message not acknowledged', { topic: event.topic, reason: event.reason });
  }
}

/**
 * With peers: takes nothing more, and hands back what is not begun, because this replica may never return. Without: the
 * broker keeps what comes, and the journal what came, until it is started again.
 */
async function leave(
  { settings, clock, metrics, log }: Parts,
  { bus, presence, workshop }: { readonly bus: Bus; readonly presence: Presence; readonly workshop: Workshop },
): Promise<void> {
  const isForGood = presence.hasPeers() && metrics.isConnected;
  log.info('Draining', { hands_back: isForGood });
  const atMost = (work: Promise<unknown>) => Promise.race([work.catch(() => {}), pause(clock, goodbyeMs)]);
  if (isForGood) {
    await atMost(bus.unsubscribe());
    // The farewell comes back behind the last of what the broker had for us: after it, everything is in the journal.
    await atMost(presence.leave());
  }
  await workshop.close(settings.drainMs);
  await atMost(isForGood ? workshop.handBack() : presence.leave());
  await atMost(bus.close({ endsSession: isForGood }));
}
