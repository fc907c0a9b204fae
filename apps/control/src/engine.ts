/** The inner half of the composition root: records and flow over a database. Used whole by the control plane, and alone to measure the engine without HTTP. */
import { type AgentId, type AgentSpec, defaultTenantId, type RunId, type TenantId, type WorkflowId } from '@hivekeeper/contract';
import { type Clock, idMaker, type Log, systemClock, systemRandom } from '@hivekeeper/kernel';
import { diskAgentFiles } from './adapters/agent-files/agent-files.ts';
import { postgresDriver, type PostgresDatabase } from './adapters/postgres/index.ts';
import type { ControlConfig } from './config.ts';
import { checkWorkflow, createExpressions, type Driver, LiveRuns, NoticeBoard, RunLane, Runs } from './flow/runs/index.ts';
import { TicketDesk } from './flow/tickets/index.ts';
import { Triggers } from './flow/triggers/index.ts';
import type { Services } from './http/services.ts';
import { KeyRing } from './records/keys/index.ts';
import { AgentRegistry, WorkflowRegistry } from './records/registry/index.ts';

const sweepIntervalMs = 1_000;
const silentAfterMs = 5_000;

/** What moves work forward, without a door: for the control plane, and for measuring it without HTTP. */
export interface Engine extends AsyncDisposable {
  readonly services: Omit<Services, 'isDraining' | 'authentication' | 'version'>;
  /** Resolves when nothing is being committed. */
  idle(): Promise<void>;
}

/** What an engine is made of. */
export interface EngineOptions {
  readonly database: PostgresDatabase;
  readonly config: Pick<ControlConfig, 'leaseMs' | 'liveRuns'>;
  readonly log: Log;
  readonly clock?: Clock;
  /** Agents below it are trusted. */
  readonly shippedDirectory: string;
  /** Agents known without being registered: `builtin` ones of tests and benchmarks. */
  readonly builtinAgents?: readonly AgentSpec[];
}

/** Wires records and flow over a database, and starts the timers that recover what was interrupted. */
export async function startEngine({ database, config, log, shippedDirectory, clock = systemClock, builtinAgents = [] }: EngineOptions): Promise<Engine> {
  const newId = idMaker(clock, systemRandom);
  const { runStore, ticketStore, registryStore, keyStore } = database;
  const expressions = createExpressions();
  const agents = new AgentRegistry({ store: registryStore, files: diskAgentFiles({ shippedDirectory, log }), newId: () => newId('agt') as AgentId });
  const workflows = new WorkflowRegistry({
    store: registryStore,
    check: (definition, isKnownAgent) => checkWorkflow(definition, { isKnownAgent, parseExpression: expressions.parse }),
    newId: () => newId('wfl') as WorkflowId,
  });
  await agents.refresh();
  for (const spec of builtinAgents) await agents.ensureSpec({ tenantId: defaultTenantId, spec, by: 'platform' });

  const findAgent = (tenantId: TenantId, name: string) => agents.specOf(tenantId, name);
  const desk = new TicketDesk({ store: ticketStore, clock, log, findAgent, epoch: database.epoch, leaseMs: config.leaseMs, silentAfterMs });
  const live = new LiveRuns(runStore, expressions.evaluate, config.liveRuns);
  const board = new NoticeBoard();
  const lane = new RunLane({ store: runStore, runs: live, desk, board, driver: () => driver, findAgent, clock, log });
  const runs = new Runs({ store: runStore, tickets: ticketStore, desk, runs: live, lane, board, clock, newRunId: () => newId('run') as RunId, findAgent });
  const driver: Driver = postgresDriver({ store: runStore, clock, log, wake: (runId) => runs.wake(runId) });
  const quietly = (what: string, work: Promise<unknown>) => void work.catch((error: unknown) => log.warn({ err: error }, `${what} failed; it is tried again`));

  desk.listen({
    ticketLost: (lease) => {
      log.warn({ ticketId: lease.ticketId, workerId: lease.workerId }, 'a lease ran out');
      quietly('giving up a lease', runs.lose(lease));
    },
    capacityChanged: () => {
      lane.pump();
      quietly('reading ready tickets', desk.refill());
    },
  });
  const timers = [
    clock.every(sweepIntervalMs, () => quietly('the sweep', Promise.all([desk.sweep(), desk.refill()]))),
    clock.every(3_600_000, () => quietly('forgetting old idempotency keys', database.forgetOldKeys())),
  ];
  const stopListening = await database.listen({ registryChanged: () => {
      workflows.refresh();
      quietly('reading agents', agents.refresh());
    }, ticketsReady: () => desk.noticeMore() });

  return {
    services: {
      runs, runStore, desk, agents, workflows, clock, log,
      triggers: new Triggers({ runs, store: runStore, workflows }),
      tickets: ticketStore,
      keys: new KeyRing({ store: keyStore, random: systemRandom, nowMs: () => clock.nowMs() }),
      probeDatabase: () => database.probe(),
      epoch: database.epoch,
      startedAtMs: clock.nowMs(),
    },
    idle: () => lane.idle(),
    [Symbol.asyncDispose]: async () => {
      for (const timer of timers) timer.cancel();
      await driver[Symbol.asyncDispose]();
      await lane.idle();
      await stopListening();
    },
  };
}
