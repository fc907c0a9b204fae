import {
  type AgentId,
  type AgentSpec,
  agentManifestSchema,
  defaultTenantId,
  type EffectId,
  type EventId,
  HiveError,
  type InstanceId,
  type LinkId,
  type Readiness,
  type RunId,
  type ScheduleId,
  type TenantId,
  type WorkerId,
  type WorkflowId,
} from '@hivekeeper/contract';
import { type Clock, idMaker, newLog, type Random } from '@hivekeeper/kernel';
import {
  checkWorkflow,
  createExpressions,
  type Expressions,
  LiveRuns,
  NoticeBoard,
  RunLane,
  Callbacks,
  RunOrders,
  Runs,
  Suspensions,
} from '../../flow/runs/index.ts';
import { Breakers, TicketDesk } from '../../flow/tickets/index.ts';
import {
  BulkOrders,
  DeadLetters,
  declaredIssuesOf,
  eventIssuesOf,
  Events,
  EventStarts,
  Schedules,
  Triggers,
} from '../../flow/triggers/index.ts';
import { EffectLedger, type EffectStore } from '../../records/effects/index.ts';
import { Attention, Instances, InstanceWatch, Presence, Watchfulness } from '../../records/instances/index.ts';
import { KeyRing } from '../../records/keys/index.ts';
import { Links } from '../../records/links/index.ts';
import { Redaction } from '../../records/redaction/index.ts';
import { AgentRegistry, type RegistryStore, WorkflowRegistry } from '../../records/registry/index.ts';
import type { Services } from '../services.ts';
import { memoryBackups } from './memory-backups.ts';
import { memoryDeadTicketStore } from './memory-dead-ticket-store.ts';
import { memoryEffectStore } from './memory-effect-store.ts';
import { memoryEventStore } from './memory-event-store.ts';
import { memoryInstanceStore } from './memory-instance-store.ts';
import { memoryKeyStore } from './memory-key-store.ts';
import { memoryLinkStore } from './memory-link-store.ts';
import { memoryRegistryStore } from './memory-registry-store.ts';
import { memoryRunCensus } from './memory-run-census.ts';
import { memoryRunStore } from './memory-run-store.ts';
import { memoryScheduleStore } from './memory-schedule-store.ts';
import { MemoryTables } from './memory-tables.ts';
import { memoryThrottleStore } from './memory-throttle-store.ts';
import { memoryTicketStore } from './memory-ticket-store.ts';

/** The real engine over tables in memory, with what tests turn and look at. */
export interface MemoryHouse {
  readonly services: Services;
  readonly tables: MemoryTables;
  /** Begins to notice who of the registered instances is silent. */
  readonly keepWatch: () => Watchfulness;
  /** Keys of the default tenant, and of another one. */
  readonly keys: { readonly admin: string; readonly worker: string; readonly foreign: string };
  /** What was logged, one JSON line each. */
  readonly logged: string[];
  /** What the test decides while it runs: whether SIGTERM came, what a write to the database does, whether work moves. */
  readonly world: { isDraining: boolean; probe: () => Promise<void>; readiness: Readiness };
  /** How often the database was probed. */
  readonly probeCount: () => number;
}

/** Wires the engine as the composition root does, but for the database. */
export async function memoryHouse({
  clock,
  random,
  authentication = 'api-key',
}: {
  readonly clock: Clock;
  readonly random: Random;
  readonly authentication?: Services['authentication'];
}): Promise<MemoryHouse> {
  const world: MemoryHouse['world'] = { isDraining: false, probe: () => Promise.resolve(), readiness: { ready: true } };
  let probeCount = 0;
  const logged: string[] = [];
  const log = newLog({ level: 'info', component: 'test', destination: { write: (line) => void logged.push(line) } });
  const tables = new MemoryTables(() => clock.nowMs());
  const keyRing = new KeyRing({ store: memoryKeyStore(tables), random, clock });
  const { keepWatch, ...engine } = engineOver(tables, { clock, random, log });
  const services: Services = {
    ...engine,
    keys: keyRing,
    backups: memoryBackups({ clock, log }),
    health: { readiness: () => world.readiness },
    canaries: { views: () => [] },
    money: {
      reserve: () => Promise.resolve({ settle() {}, release() {} }),
      list: () => Promise.resolve([]),
      set: () => Promise.reject(new HiveError('INTERNAL')),
      remove: () => Promise.reject(new HiveError('NOT_FOUND')),
    },
    modelCalls: { list: () => Promise.resolve([]), costs: () => Promise.resolve([]) },
    clock,
    log,
    authentication,
    version: '0.0.0-test',
    epoch: 1,
    startedAtMs: clock.nowMs(),
    isDraining: () => world.isDraining,
    probeDatabase: () => {
      probeCount += 1;
      return world.probe();
    },
  };
  const issue = (name: string, role: 'admin' | 'worker', tenantId: TenantId = defaultTenantId) => keyRing.issue({ tenantId, name, role });
  const keys = {
    admin: await issue('first', 'admin'),
    worker: await issue('workers', 'worker'),
    foreign: await issue('theirs', 'admin', 'ten_00000000000000000000000001' as TenantId),
  };
  return { services, tables, keepWatch, keys, logged, world, probeCount: () => probeCount };
}

/** The value of a variable that an agent may see. */
export const declaredSecret = 'correct-horse-battery';

/** Agents lie below /agents, each described by the last part of its path; a path that holds `broken` cannot be read. */
const pretendFiles = {
  read: async (entryPath: string, given: Partial<AgentSpec>): Promise<AgentSpec> => {
    if (entryPath.includes('broken')) throw new HiveError('AGENT_INVALID', `there is nothing at ${entryPath}`);
    const manifest = agentManifestSchema.parse({ name: entryPath.split('/').at(-1), version: '1.0.0', ...given });
    return { ...manifest, directory: entryPath, trust: 'untrusted' };
  },
};

/** Nothing is ever due. */
const noDriver = { wake: () => undefined, wakeAt: () => undefined, [Symbol.asyncDispose]: async () => undefined };

/** Nobody gives turns here: runs that take them stay queued. */
const noTurns: Services['turnStore'] = {
  settle: async () => ({ holders: [], waiting: [], given: [], ended: [] }),
  unsettled: async () => [],
  holders: async () => [],
};

function engineOver(
  tables: MemoryTables,
  { clock, random, log }: { readonly clock: Clock; readonly random: Random; readonly log: Services['log'] },
) {
  const newId = idMaker(clock, random);
  const expressions = createExpressions();
  const runStore = memoryRunStore(tables);
  const tickets = memoryTicketStore(tables);
  const registry = memoryRegistryStore(tables);
  const agents = new AgentRegistry({ store: registry, files: pretendFiles, newId: () => newId('agt') as AgentId });
  const workflows = workflowsOver(registry, expressions, () => newId('wfl') as WorkflowId);
  const findAgent = agents.specOf;
  const { instances, keepWatch } = instancesOver(tables, () => desk, { clock, log, newId: () => newId('ins') as InstanceId });
  const known = { findAgent, dutyOf: instances.dutyOf };
  const desk = new TicketDesk({ store: tickets, clock, log, ...known, epoch: 1, leaseMs: 30_000, silentAfterMs: 10_000 });
  const live = new LiveRuns(runStore, expressions.evaluate, 1_000);
  const peers = { announce: () => undefined, tell: () => undefined };
  const board = new NoticeBoard({ store: runStore, tickets, runs: live, peers, clock, log });
  const throttles = memoryThrottleStore(() => clock.nowMs());
  const breakers = new Breakers({ store: throttles, findAgent, log, changed: (fullKey) => desk.open(fullKey) });
  const shared = { store: runStore, runs: live, desk, board, findAgent, clock };
  const lane = new RunLane({ ...shared, driver: () => noDriver, breakers, follow: () => undefined, log });
  const runs = new Runs({ ...shared, tickets, lane, newRunId: () => newId('run') as RunId });
  listenAt(desk, { lane, runs, board });
  const orders = new RunOrders({ store: runStore, lane, newSignalId: () => newId('sig') });
  const triggers = new Triggers({ runs, store: runStore, workflows });
  const starts = new EventStarts({ workflows, triggers, evaluate: expressions.evaluate, log });
  const effectStore = memoryEffectStore(tables);
  const effects = ledgerOver(effectStore, desk, { clock, newEffectId: () => newId('eff') as EffectId });
  const suspensions = new Suspensions({ runs, orders, ledger: effects, effects: effectStore });
  return {
    runs,
    orders,
    effects,
    effectStore,
    suspensions,
    callbacks: new Callbacks(lane),
    runStore,
    census: memoryRunCensus(tables),
    desk,
    tickets,
    throttles,
    breakers,
    agents,
    workflows,
    instances,
    keepWatch,
    triggers,
    bulk: new BulkOrders({ store: runStore, orders, triggers }),
    dead: new DeadLetters({ store: memoryDeadTicketStore(tables), triggers }),
    links: new Links({ store: memoryLinkStore(tables), clock, random, newId: () => newId('lnk') as LinkId }),
    redaction: new Redaction(() => [declaredSecret]),
    events: new Events({ store: memoryEventStore(tables), orders, starts, newId: () => newId('evt') as EventId, log }),
    schedules: new Schedules({ store: memoryScheduleStore(tables), workflows, newId: () => newId('sch') as ScheduleId, clock }),
    turnStore: noTurns,
  };
}

function listenAt(
  desk: TicketDesk,
  { lane, runs, board }: { readonly lane: RunLane; readonly runs: Runs; readonly board: NoticeBoard },
): void {
  const capacityChanged = () => {
    lane.pump();
    void desk.refill();
  };
  desk.listen({
    ticketLost: (lease) => void runs.lose(lease),
    capacityChanged,
    progressed: (runId) => board.progressed(runId),
    roomMade: () => undefined,
  });
}

/** As the engine has it; the round that notices silence begins when a test says so. */
function instancesOver(
  tables: MemoryTables,
  desk: () => TicketDesk,
  { clock, log, newId }: { readonly clock: Clock; readonly log: Services['log']; readonly newId: () => InstanceId },
): { readonly instances: Instances; readonly keepWatch: () => Watchfulness } {
  const store = memoryInstanceStore(tables);
  const attention = new Attention(clock, 300);
  const presence = new Presence(attention);
  const dutyChanged = (id: InstanceId) => desk().dutyChanged(id as WorkerId);
  const instances = new Instances({ store, presence, watch: new InstanceWatch(), clock, newId, dutyChanged });
  const parts = { instances, presence, attention, store, clock, log };
  return { instances, keepWatch: () => new Watchfulness({ ...parts, workers: () => desk().workers(), planeId: 'here' }) };
}

const ledgerOver = (
  store: EffectStore,
  desk: TicketDesk,
  { clock, newEffectId }: { readonly clock: Clock; readonly newEffectId: () => EffectId },
) => new EffectLedger({ store, nowMs: () => clock.nowMs(), newEffectId, counterOf: (token) => desk.counterOf(token) });

const workflowsOver = (store: RegistryStore, { parse }: Expressions, newId: () => WorkflowId) =>
  new WorkflowRegistry({
    store,
    check: (definition, isKnownAgent) => [
      ...checkWorkflow(definition, { isKnownAgent, parseExpression: parse }),
      ...declaredIssuesOf(definition),
      ...eventIssuesOf(definition, parse),
    ],
    newId,
  });
