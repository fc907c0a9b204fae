import {
  agentManifestSchema,
  type AgentSpec,
  defaultTenantId,
  type JsonObject,
  type LeasedTicket,
  type Outcome,
  type RunId,
  type RunNotice,
  type RunStatus,
  type TicketId,
  type WorkerId,
  type WorkflowInput,
  workflowDefinitionSchema,
} from '@hivekeeper/contract';
import { type Clock, newLog, systemClock } from '@hivekeeper/kernel';
import { type FreshDatabase, freshDatabase } from '@hivekeeper/testkit';
import postgres from 'postgres';
import { afterAll } from 'vitest';
import { openDatabase, type PostgresDatabase } from '../../apps/control/src/adapters/postgres/index.ts';
import { type Engine, startEngine } from '../../apps/control/src/engine.ts';
import type { OpenBroker } from '../../apps/control/src/flow/gateway/index.ts';
import type { Watcher } from '../../apps/control/src/flow/runs/index.ts';

const log = newLog({ level: 'silent', component: 'test' });

/** A migrated database on a real server. */
export const migratedDatabase = (): Promise<FreshDatabase> => freshDatabase(migrateByOpening);

/** A migrated database of a test file's own, and a superuser's connections to it; both end with the file. */
export async function ownDatabase({ connections = 1 } = {}): Promise<{ readonly database: FreshDatabase; readonly sql: postgres.Sql }> {
  const database = await migratedDatabase();
  const sql = postgres(database.superuserUrl, { max: connections });
  afterAll(async () => {
    await sql.end();
    await database.drop();
  });
  return { database, sql };
}

// One function for every file, so that the template is migrated once.
async function migrateByOpening(url: string): Promise<void> {
  await (await openDatabase({ url, maxConnections: 2, log }))[Symbol.asyncDispose]();
}

/** An agent that needs no process. */
export const builtin = (name: string, more: Partial<AgentSpec> = {}): AgentSpec => ({
  ...agentManifestSchema.parse({ name, version: '1.0.0', kind: 'builtin' }),
  trust: 'trusted',
  ...more,
});

/** What an engine of a test is like. */
export interface EngineLike {
  readonly leaseMs?: number;
  /** False loses what other control planes say of watched runs. */
  readonly hears?: () => boolean;
  readonly clock?: Clock;
  readonly environment?: Readonly<Record<string, string>>;
  readonly backupDirectory?: string;
  readonly canaryMs?: number;
  readonly openBroker?: OpenBroker;
  /** What the engine is given for the database: where a fault is to be put in. */
  readonly through?: (database: PostgresDatabase) => PostgresDatabase;
}

/** An engine over the database, with what it was told about. */
export async function engineOn(
  url: string,
  {
    leaseMs = 10_000,
    hears = () => true,
    clock = systemClock,
    environment = {},
    backupDirectory = '/nonexistent',
    canaryMs = 0,
    openBroker,
    through = (database) => database,
  }: EngineLike = {},
): Promise<Engine> {
  const database = await openDatabase({ url, maxConnections: 4, log });
  const engine = await startEngine({
    database: {
      ...through(database),
      listen: (listener) =>
        database.listen({
          ...listener,
          runWatched: (runId) => hears() && listener.runWatched(runId),
          runMoved: (runId) => hears() && listener.runMoved(runId),
        }),
    },
    config: { leaseMs, liveRuns: 1_000, canaryMs },
    log,
    clock,
    environment,
    openBroker,
    shippedDirectory: '/nonexistent',
    backups: { directory: backupDirectory, productVersion: '0.0.0-test' },
    builtinAgents: [builtin('noop'), builtin('risky', { riskLevel: 'APPROVAL_REQUIRED' })],
  });
  return {
    ...engine,
    [Symbol.asyncDispose]: async () => {
      await engine[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** What a test worker does with a ticket: an outcome to settle it with, or nothing. */
export type Work = (ticket: LeasedTicket) => Outcome | undefined | Promise<Outcome | undefined>;

/** A worker inside the test. It remembers what it was given and what it was told to drop. */
export interface TestWorker {
  readonly workerId: WorkerId;
  readonly tickets: LeasedTicket[];
  readonly revoked: TicketId[];
  readonly refusals: unknown[];
  /** Resolves with the n-th ticket it gets, counted from 1. */
  ticket(nth: number): Promise<LeasedTicket>;
}

let workerCount = 0;

/** Seats a worker with credits enough for everything. */
export const seatWorker = (engine: Engine, work: Work, credits = 10_000): TestWorker => seat(engine, work, { credits, labels: [] });

/** As {@link seatWorker}, for one with labels. */
export const seatLabelledWorker = (engine: Engine, work: Work, labels: readonly string[]): TestWorker =>
  seat(engine, work, { credits: 10_000, labels });

function seat(
  { services }: Engine,
  work: Work,
  { credits, labels }: { readonly credits: number; readonly labels: readonly string[] },
): TestWorker {
  workerCount += 1;
  const workerId = `wrk_${String(workerCount).padStart(26, '0')}` as WorkerId;
  const waiting: { nth: number; resolve: (ticket: LeasedTicket) => void }[] = [];
  const worker: TestWorker = {
    workerId,
    tickets: [],
    revoked: [],
    refusals: [],
    ticket: (nth) =>
      new Promise((resolve) => {
        const had = worker.tickets[nth - 1];
        if (had === undefined) waiting.push({ nth, resolve });
        else resolve(had);
      }),
  };
  const settle = async (ticket: LeasedTicket) => {
    const outcome = await work(ticket);
    if (outcome === undefined) return;
    await services.runs
      .settle({ workerId, ticketId: ticket.ticketId, token: ticket.token, outcome })
      .catch((error: unknown) => worker.refusals.push(error));
    services.desk.setCredits(workerId, credits);
  };
  services.desk.attach({
    workerId,
    name: `test-${workerCount}`,
    capabilities: ['builtin', ...labels],
    maxParallel: credits,
    isListening: true,
    deliver: (tickets) => {
      for (const ticket of tickets) {
        worker.tickets.push(ticket);
        for (const { nth, resolve } of waiting) if (nth === worker.tickets.length) resolve(ticket);
        void settle(ticket);
      }
    },
    revoke: (ticketIds) => void worker.revoked.push(...ticketIds),
  });
  services.desk.setCredits(workerId, credits);
  return worker;
}

/** Succeeds at once. */
export const succeed: Work = () => ({ ok: true, output: { done: true } });

/** Deploys a workflow. */
export const deploy = ({ services }: Engine, workflow: WorkflowInput) =>
  services.workflows.deploy({ tenantId: defaultTenantId, definition: workflowDefinitionSchema.parse(workflow), by: 'test' });

/** `count` nodes, one after the other. */
export const chain = (name: string, count: number): WorkflowInput => ({
  name,
  nodes: Array.from({ length: count }, (_, index) => ({ id: `n${index}`, agent: 'noop', needs: index === 0 ? [] : [`n${index - 1}`] })),
});

/** Starts a run. */
export async function start({ services }: Engine, workflow: string, context: JsonObject = {}): Promise<RunId> {
  return (await services.triggers.fire({ tenantId: defaultTenantId, workflow: { name: workflow }, context, kind: 'api', by: 'test' }))
    .runId;
}

/** Resolves with the run's last status once it has ended, by its own notices. */
export async function ended(engine: Engine, runId: RunId): Promise<RunStatus> {
  const notice = await until(engine, runId, ({ type }) => type === 'run.finished');
  return (notice as Extract<RunNotice, { readonly type: 'run.finished' }>).status;
}

/** Resolves with the first of the run's notices that is the wanted one, past or to come. */
export function until({ services }: Engine, runId: RunId, isWanted: (notice: RunNotice) => boolean): Promise<RunNotice> {
  return new Promise((resolve, reject) => {
    let stop = () => {};
    let isOver = false;
    const onNews: Watcher = (news) => {
      for (const { notice } of news) {
        if (isOver || !isWanted(notice as RunNotice)) continue;
        isOver = true;
        stop();
        resolve(notice as RunNotice);
      }
    };
    services.runs.watch({ tenantId: defaultTenantId, runId, onNews }).then((stopWatching) => {
      stop = stopWatching;
      if (isOver) stop();
    }, reject);
  });
}
