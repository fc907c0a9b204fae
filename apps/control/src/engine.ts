/**
 * The inner half of the composition root: records and flow over a database. Used whole by the control plane, and alone
 * to measure the engine without HTTP.
 */
import {
  type AgentId,
  type AgentSpec,
  defaultTenantId,
  type EffectId,
  type InstanceId,
  type LinkId,
  type RunId,
  type ScheduleId,
  type WorkerId,
  type WorkflowId,
} from '@hivekeeper/contract';
import { Money } from './records/budgets/index.ts';
import { type Clock, idMaker, type Log, type NewId, systemClock, systemRandom } from '@hivekeeper/kernel';
import { diskAgentFiles } from './adapters/agent-files/agent-files.ts';
import { diskBackupShelf } from './adapters/backup-files/backup-files.ts';
import { postgresDriver, type PostgresDatabase } from './adapters/postgres/index.ts';
import type { ControlConfig } from './config.ts';
import { type Fleet, openFleet } from './fleet.ts';
import { Gateway, type OpenBroker } from './flow/gateway/index.ts';
import {
  checkWorkflow,
  createExpressions,
  type Driver,
  type Expressions,
  LiveRuns,
  NoticeBoard,
  Peers,
  RunLane,
  type RunConsequences,
  Callbacks,
  RunOrders,
  Runs,
  Suspensions,
} from './flow/runs/index.ts';
import { Canaries, canaryQueues, Health, Pulse, sendCanary, signsOf } from './flow/health/index.ts';
import { Breakers, type FindAgent, TicketDesk } from './flow/tickets/index.ts';
import { BulkOrders, DeadLetters, declaredIssuesOf, eventIssuesOf, Schedules, Triggers } from './flow/triggers/index.ts';
import type { Services } from './http/services.ts';
import { Backups } from './operations/backups/index.ts';
import { EffectLedger } from './records/effects/index.ts';
import { KeyRing } from './records/keys/index.ts';
import { Links } from './records/links/index.ts';
import { isSecretName, Redaction } from './records/redaction/index.ts';
import { type AgentFiles, AgentRegistry, type RegistryStore, WorkflowRegistry } from './records/registry/index.ts';
import { startWakers, type Wakers } from './wakers.ts';

const sweepIntervalMs = 1_000;
const silentAfterMs = 5_000;
const forgetIntervalMs = 3_600_000;
// Three rounds may be lost before a watched run is taken for an unwatched one.
const watchRoundMs = 3_000;
const watchForgottenAfterMs = 10_000;
// What is told of effects is told at once; this finds what a crash left untold.
const newsIntervalMs = 10_000;

/** What moves work forward, without a door: for the control plane, and for measuring it without HTTP. */
export interface Engine extends AsyncDisposable {
  readonly services: Omit<Services, 'isDraining' | 'authentication' | 'version'>;
  /** Resolves when nothing is being committed. */
  idle(): Promise<void>;
}

/** What an engine is made of. */
export interface EngineOptions {
  readonly database: PostgresDatabase;
  readonly config: Pick<ControlConfig, 'leaseMs' | 'liveRuns'> & Partial<Pick<ControlConfig, 'canaryMs'>>;
  readonly log: Log;
  readonly clock?: Clock;
  /** Agents below it are trusted. */
  readonly shippedDirectory: string;
  readonly backups: { readonly directory: string; readonly productVersion: string };
  /** What npm may see of the environment when it installs an agent's dependencies. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Agents known without being registered: `builtin` ones of tests and benchmarks. */
  readonly builtinAgents?: readonly AgentSpec[];
  /** Absent where agents over MQTT are not to be reached. */
  readonly openBroker?: OpenBroker | undefined;
}

/** Wires records and flow over a database, and starts the timers that recover what was interrupted. */
export async function startEngine({
  database,
  config,
  log,
  shippedDirectory,
  backups,
  environment = {},
  clock = systemClock,
  builtinAgents = [],
  openBroker,
}: EngineOptions): Promise<Engine> {
  const newId = idMaker(clock, systemRandom);
  const expressions = createExpressions();
  const files = diskAgentFiles({ shippedDirectory, environment, log });
  const { agents, workflows } = await openRegistries({ store: database.registryStore, files, expressions, builtinAgents, newId });

  const follow = (consequences: RunConsequences) => wakers.follow(consequences);
  const told = { findAgent: agents.specOf, evaluate: expressions.evaluate, newRunId: () => newId('run') as RunId, follow };
  const flow = openFlow({ database, config, clock, log, newId, ...told });
  const { desk, breakers, lane, runs, fleet } = flow;
  await fleet.instances.refresh();
  const kept = backupsOf({ database, backups, clock, log });
  const people = ordersOver({ database, runs, lane, workflows, clock, newId });
  const ledger = ledgerOver({ database, runs, orders: people.orders, desk, clock, newId });
  const watch = watchOver({ ...flow, triggers: people.triggers, config, clock, log });
  const wakers = startWakers({ ...people, workflows, evaluate: expressions.evaluate, stores: database, lane, newId, clock, log });
  await using stack = new AsyncDisposableStack();
  for (const part of [flow.peers, fleet.watchfulness, kept]) stack.use(part);
  stack.defer(() => breakers.idle());
  stack.defer(() => lane.idle());
  for (const mover of [flow.driver, wakers, watch.health, watch.canaries]) stack.use(mover);
  stack.defer(() => desk.stopHandingOut());
  await recover({ stack, database, ...flow, ...ledger, agents, workflows, wakers, clock, log });
  const isOwn = (agentId: string) => agents.specOf(defaultTenantId, agentId)?.overMqtt === true;
  const gateway = openBroker && stack.use(new Gateway({ openBroker, desk, runs, workerId: newId('wrk') as WorkerId, isOwn, clock, log }));
  const keys = stack.use(new KeyRing({ store: database.keyStore, random: systemRandom, clock }));
  const money = stack.use(new Money({ store: database.budgetStore, newId, clock, log }));
  const started = stack.move();

  return {
    services: {
      runs,
      ...people,
      ...ledger,
      desk,
      gateway,
      agents,
      workflows,
      instances: fleet.instances,
      ...{ clock, log, money, keys },
      redaction: new Redaction(() => secretsIn(environment, agents.environmentNames())),
      ...storesOf(database),
      events: wakers.events,
      breakers,
      backups: kept,
      ...watch,
      startedAtMs: clock.nowMs(),
    },
    idle: () => lane.idle(),
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** Whether work moves: what its parts say of themselves, and canaries that try. */
function watchOver({
  lane,
  desk,
  runs,
  pulses,
  triggers,
  config: { leaseMs, canaryMs: intervalMs = 0 },
  clock,
  log,
}: ReturnType<typeof openFlow> & Pick<EngineOptions, 'config' | 'log'> & { readonly triggers: Triggers; readonly clock: Clock }) {
  const canaries = new Canaries({
    queues: () => {
      const served = new Set(desk.workers().flatMap(({ state, capabilities }) => (state === 'connected' ? capabilities : [])));
      return canaryQueues.filter((queue) => served.has(queue));
    },
    hasFreeWorker: (queue) => desk.hasFreeWorker(queue),
    send: (queue) => sendCanary({ triggers, runs, clock }, queue),
    ...{ clock, log, intervalMs },
  });
  const signs = () => [...signsOf({ lane, desk, ...pulses }), ...canaries.signs()];
  return { canaries, health: new Health({ clock, signs, leaseMs }) };
}

/** What is read past the rules that change it. */
const storesOf = ({ runStore, modelCallStore, census, ticketStore, throttleStore, turnStore, epoch, probe }: PostgresDatabase) => ({
  epoch,
  probeDatabase: probe,
  turnStore,
  runStore,
  modelCalls: modelCallStore,
  census,
  tickets: ticketStore,
  throttles: throttleStore,
});

/** The database's backups, in their directory. */
const backupsOf = ({ database, backups, clock, log }: Pick<EngineOptions, 'database' | 'backups' | 'log'> & { readonly clock: Clock }) =>
  new Backups({ source: database.backupSource, shelf: diskBackupShelf(backups.directory), clock, log, ...backups });

interface Ordered {
  readonly database: PostgresDatabase;
  readonly runs: Runs;
  readonly lane: RunLane;
  readonly workflows: WorkflowRegistry;
  readonly clock: Clock;
  readonly newId: NewId;
}

/** What people and programs start, order and decide. */
function ordersOver({ database, runs, lane, workflows, clock, newId }: Ordered) {
  const store = database.runStore;
  const orders = new RunOrders({ store, lane, newSignalId: () => newId('sig') });
  const triggers = new Triggers({ runs, store, workflows });
  return {
    orders,
    triggers,
    callbacks: new Callbacks(lane),
    bulk: new BulkOrders({ store, orders, triggers }),
    dead: new DeadLetters({ store: database.deadTicketStore, triggers }),
    schedules: new Schedules({ store: database.scheduleStore, workflows, newId: () => newId('sch') as ScheduleId, clock }),
    links: new Links({ store: database.linkStore, clock, random: systemRandom, newId: () => newId('lnk') as LinkId }),
  };
}

/** What agents at work tell and ask, and who hears of it. */
function ledgerOver({
  database: { effectStore },
  runs,
  orders,
  desk,
  clock,
  newId,
}: Omit<Ordered, 'lane' | 'workflows'> & { readonly orders: RunOrders; readonly desk: TicketDesk }) {
  const effects = new EffectLedger({
    store: effectStore,
    nowMs: () => clock.nowMs(),
    newEffectId: () => newId('eff') as EffectId,
    counterOf: (token) => desk.counterOf(token),
  });
  return { effectStore, effects, suspensions: new Suspensions({ runs, orders, ledger: effects, effects: effectStore }) };
}

/** The values of variables that agents may see and whose names say that they are secret, as far as this process has them. */
const secretsIn = (environment: Readonly<Record<string, string | undefined>>, names: ReadonlySet<string>): string[] =>
  [...names].filter(isSecretName).flatMap((name) => environment[name] ?? []);

interface FlowParts extends Pick<EngineOptions, 'database' | 'config' | 'log'> {
  readonly clock: Clock;
  readonly findAgent: FindAgent;
  readonly evaluate: Expressions['evaluate'];
  readonly newId: NewId;
  readonly newRunId: () => RunId;
  readonly follow: (consequences: RunConsequences) => void;
}

/** What moves runs and tickets, wired; nothing of it is started. */
function openFlow({ database, config: { leaseMs, liveRuns }, clock, log, findAgent, evaluate, newId, newRunId, follow }: FlowParts) {
  const { runStore: store, ticketStore: tickets, throttleStore, peerLine, epoch, weightOf } = database;
  const fleet = openFleet({ store: database.instanceStore, desk: () => desk, newId, clock, log });
  const { dutyOf } = fleet.instances;
  const desk = new TicketDesk({ store: tickets, clock, log, findAgent, epoch, leaseMs, silentAfterMs, dutyOf, weightOf });
  const live = new LiveRuns(store, evaluate, liveRuns);
  const peers = new Peers({ line: peerLine, clock, log, forgottenAfterMs: watchForgottenAfterMs });
  const board = new NoticeBoard({ store, tickets, runs: live, peers, clock, log });
  const breakerChanged = (fullKey: string) => {
    desk.open(fullKey);
    peers.tellRoom(fullKey);
  };
  const breakers = new Breakers({ store: throttleStore, findAgent, log, changed: breakerChanged });
  const lane = new RunLane({ store, runs: live, desk, board, driver: () => driver, findAgent, breakers, follow, clock, log });
  const runs = new Runs({ store, tickets, desk, runs: live, lane, board, clock, newRunId, findAgent });
  const pulses = { driver: new Pulse(), sweep: new Pulse() };
  const driver: Driver = postgresDriver({ store, clock, log, wake: (runId) => runs.wake(runId), onLook: pulses.driver.beat });
  return { desk, peers, board, breakers, lane, runs, driver, pulses, fleet };
}

interface Registration {
  readonly store: RegistryStore;
  readonly files: AgentFiles;
  readonly expressions: Expressions;
  readonly builtinAgents: readonly AgentSpec[];
  readonly newId: NewId;
}

/** What is registered, with its agents read: a run's next step asks for them without waiting. */
async function openRegistries({ store, files, expressions, builtinAgents, newId }: Registration) {
  const agents = new AgentRegistry({ store, files, newId: () => newId('agt') as AgentId });
  const workflows = new WorkflowRegistry({
    store,
    check: (definition, isKnownAgent) => [
      ...checkWorkflow(definition, { isKnownAgent, parseExpression: expressions.parse }),
      ...declaredIssuesOf(definition),
      ...eventIssuesOf(definition, expressions.parse),
    ],
    newId: () => newId('wfl') as WorkflowId,
  });
  await agents.refresh();
  for (const spec of builtinAgents) await agents.ensureSpec({ tenantId: defaultTenantId, spec, by: 'platform' });
  return { agents, workflows };
}

interface Recovery {
  /** What was started, to be stopped in the reverse order. */
  readonly stack: AsyncDisposableStack;
  readonly database: PostgresDatabase;
  readonly desk: TicketDesk;
  readonly pulses: { readonly sweep: Pulse };
  readonly lane: RunLane;
  readonly runs: Runs;
  readonly board: NoticeBoard;
  readonly peers: Peers;
  readonly suspensions: Suspensions;
  readonly agents: AgentRegistry;
  readonly workflows: WorkflowRegistry;
  readonly fleet: Fleet;
  readonly wakers: Wakers;
  readonly clock: Clock;
  readonly log: Log;
}

/** Starts what finds interrupted work and what other control planes did: timers, and the database's notifications. */
async function recover(recovery: Recovery): Promise<void> {
  const { stack, database, desk, pulses, lane, runs, board, peers, suspensions, agents, workflows, fleet, wakers, clock, log } = recovery;
  const quietly = (what: string, work: Promise<unknown>) =>
    void work.catch((error: unknown) => log.warn({ err: error }, `${what} failed; it is tried again`));
  let areAgentsStale = false;
  const readAgents = async () => {
    areAgentsStale = true;
    await agents.refresh();
    areAgentsStale = false;
  };
  desk.listen({
    ticketLost: (lease) => {
      log.warn({ ticketId: lease.ticketId, workerId: lease.workerId }, 'a lease ran out');
      quietly('giving up a lease', runs.lose(lease));
    },
    capacityChanged: () => {
      lane.pump();
      quietly('reading ready tickets', desk.refill());
    },
    progressed: (runId) => board.progressed(runId),
    roomMade: (fullKey) => peers.tellRoom(fullKey),
  });
  const sweep = () => {
    quietly('the sweep', desk.sweep().then(pulses.sweep.beat));
    if (areAgentsStale) quietly('reading agents', readAgents());
  };
  stack.use(clock.every(sweepIntervalMs, sweep));
  stack.use(clock.every(watchRoundMs, () => board.round()));
  const tellNews = () => quietly('telling the news of effects', suspensions.tell());
  stack.use(clock.every(newsIntervalMs, tellNews));
  tellNews();
  stack.use(
    clock.every(forgetIntervalMs, () => {
      quietly('forgetting what is old', database.forgetOld());
      fleet.watchfulness.changed();
    }),
  );
  const registryChanged = () => {
    workflows.refresh();
    quietly('reading agents', readAgents());
    desk.throttlesChanged();
  };
  const listener = {
    registryChanged,
    ticketsReady: () => desk.noticeMore(),
    schedulesChanged: () => wakers.schedulesChanged(),
    instanceChanged: (id?: InstanceId) => fleet.watchfulness.changed(id),
    runWatched: (runId: RunId) => peers.heard(runId),
    runMoved: (runId: RunId) => board.moved(runId),
    roomMade: (fullKey: string) => desk.open(fullKey),
    mayHaveMissed: () => board.round(),
  };
  stack.defer(await database.listen(listener));
}
