import { defaultTenantId, type InstanceId, instanceIdSchema, type RunId, type TenantId } from '@hivekeeper/contract';
import { idMaker, type Log, systemClock, systemRandom } from '@hivekeeper/kernel';
import type { PeerLine, RunCensus, RunStore, TurnStore } from '../../flow/runs/index.ts';
import type { ModelCallStore } from '../../flow/models/index.ts';
import type { ThrottleStore, TicketStore } from '../../flow/tickets/index.ts';
import type { EventStore, ScheduleStore } from '../../flow/triggers/index.ts';
import type { DeadTicketStore } from '../../records/dead-tickets/index.ts';
import type { BackupSource } from '../../operations/backups/index.ts';
import type { BudgetStore } from '../../records/budgets/index.ts';
import type { EffectStore } from '../../records/effects/index.ts';
import type { InstanceStore } from '../../records/instances/index.ts';
import type { KeyStore } from '../../records/keys/index.ts';
import type { OutboxStore } from '../../records/outbox/index.ts';
import type { LinkStore } from '../../records/links/index.ts';
import type { RegistryStore } from '../../records/registry/index.ts';
import { postgresBackupSource } from './backup/snapshot.ts';
import { postgresBudgetStore } from './budget-store.ts';
import { openPool, type Pool, type Sql } from './connection.ts';
import { postgresDeadTicketStore } from './dead-ticket-store.ts';
import { postgresEffectStore } from './effect-store.ts';
import { forgetOldEvents, postgresEventStore } from './event-store.ts';
import { forgetOldInstances, instancesChannel, postgresInstanceStore } from './instance-store.ts';
import { postgresKeyStore } from './key-store.ts';
import { postgresLinkStore } from './link-store.ts';
import { migrate } from './migrate.ts';
import { forgetOldModelCalls, postgresModelCallStore } from './model-call-store.ts';
import { postgresOutboxStore } from './outbox-store.ts';
import { movedChannel, ofRun, postgresPeerLine, roomyChannel, watchedChannel } from './peer-line.ts';
import { registryChannel } from './registry-change.ts';
import { postgresRegistryStore } from './registry-store.ts';
import { postgresRunCensus } from './run-census.ts';
import { postgresRunStore } from './run-store.ts';
import { requireSafeDatabase } from './safety.ts';
import { forgetOldFirings, postgresScheduleStore, schedulesChannel } from './schedule-store.ts';
import { postgresThrottleStore } from './throttle-store.ts';
import { postgresTicketStore, ticketsChannel } from './ticket-store.ts';
import { postgresTurnStore } from './turn-store.ts';

/** Told what other control planes did. */
export interface DatabaseListener {
  registryChanged(): void;
  /** Tickets are ready that nobody holds. */
  ticketsReady(): void;
  /** Another control plane watches this run. */
  runWatched(runId: RunId): void;
  /** Another control plane has news of this run. */
  runMoved(runId: RunId): void;
  /** A ticket with this key, given with its tenant, ended at another control plane. */
  roomMade(fullKey: string): void;
  /** Listening began, perhaps again: what was said before was not heard. */
  mayHaveMissed(): void;
  schedulesChanged(): void;
  /** An instance changed; without an id, perhaps any. */
  instanceChanged(id?: InstanceId): void;
}

/** A database that is migrated, safe, and open. */
export interface PostgresDatabase extends AsyncDisposable {
  readonly runStore: RunStore;
  readonly census: RunCensus;
  readonly ticketStore: TicketStore;
  readonly throttleStore: ThrottleStore;
  readonly registryStore: RegistryStore;
  readonly keyStore: KeyStore;
  /** To the other control planes on this database. */
  readonly peerLine: PeerLine;
  readonly linkStore: LinkStore;
  readonly deadTicketStore: DeadTicketStore;
  readonly backupSource: BackupSource;
  readonly effectStore: EffectStore;
  readonly turnStore: TurnStore;
  readonly eventStore: EventStore;
  readonly scheduleStore: ScheduleStore;
  readonly instanceStore: InstanceStore;
  readonly outboxStore: OutboxStore;
  readonly modelCallStore: ModelCallStore;
  readonly budgetStore: BudgetStore;
  /** First half of every fencing token. */
  readonly epoch: number;
  /** A tenant's share of the workers beside the others', as it was when the database was opened. */
  readonly weightOf: (tenantId: TenantId) => number;
  /** Commits a write. @throws HiveError DATABASE_UNAVAILABLE */
  probe(): Promise<void>;
  /**
   * Deletes canaries, idempotency keys older than 7 days; links that ended, events and firings of schedules older than 30; workers that
   * left a day ago, agents that left 30 days ago, and calls of models older than 90 days.
   */
  forgetOld(): Promise<void>;
  listen(listener: DatabaseListener): Promise<() => Promise<void>>;
}

/** Opens the engine's pool, which sees every tenant, and the requests' pool, which sees the one a transaction names. */
export async function openDatabase({
  url,
  maxConnections,
  log,
  requireEpoch,
}: {
  readonly url: string;
  readonly maxConnections: number;
  readonly log: Log;
  /** Told the epoch before anything is changed, 0 where there are no tables yet; throws where it is not the one to go on from. */
  readonly requireEpoch?: (epoch: number) => void;
}): Promise<PostgresDatabase> {
  const engine = openPool({ url, tenantScope: '*', maxConnections, applicationName: 'hivekeeper-engine', log });
  const requests = openPool({ url, tenantScope: 'none', maxConnections, applicationName: 'hivekeeper-requests', log });
  const close = async () => {
    await Promise.all([engine.end(), requests.end()]);
  };
  try {
    await requireSafeDatabase(engine);
    requireEpoch?.(await readEpoch(engine));
    await migrate(engine, { log });
    const epoch = await readEpoch(engine);
    const weights = await readWeights(engine);
    const newId = idMaker(systemClock, systemRandom);
    return {
      runStore: postgresRunStore(engine, requests),
      census: postgresRunCensus(requests),
      ticketStore: postgresTicketStore(engine),
      throttleStore: postgresThrottleStore(engine),
      registryStore: postgresRegistryStore(engine, requests, () => newId('sch')),
      turnStore: postgresTurnStore(engine),
      eventStore: postgresEventStore(engine, requests),
      scheduleStore: postgresScheduleStore(engine, requests),
      outboxStore: postgresOutboxStore(engine),
      modelCallStore: postgresModelCallStore(engine, requests),
      budgetStore: postgresBudgetStore(engine, requests),
      instanceStore: postgresInstanceStore(engine, requests),
      keyStore: postgresKeyStore(engine, requests, () => newId('key')),
      peerLine: postgresPeerLine(engine),
      linkStore: postgresLinkStore(engine),
      deadTicketStore: postgresDeadTicketStore(requests),
      effectStore: postgresEffectStore(engine, requests),
      backupSource: postgresBackupSource(engine, url),
      epoch,
      weightOf: (tenantId) => weights.get(tenantId) ?? 1,
      async probe() {
        await engine`UPDATE installation SET probed_at = now() WHERE tenant_id = ${defaultTenantId}`;
      },
      forgetOld: () => forgetOld(engine),
      listen: (listener) => listenOn(engine, listener),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function forgetOld(engine: Pool): Promise<void> {
  await engine`DELETE FROM idempotency_keys WHERE created_at < now() - interval '7 days'`;
  await engine`DELETE FROM approval_links WHERE expires_at < now() - interval '30 days'`;
  await forgetOldEvents(engine);
  await forgetOldFirings(engine);
  await engine`SELECT forget_canaries()`;
  await forgetOldInstances(engine);
  await forgetOldModelCalls(engine);
}

/** Hears what other control planes say, each thing on its channel. */
async function listenOn(engine: Pool, listener: DatabaseListener): Promise<() => Promise<void>> {
  const { registryChanged, ticketsReady, runWatched, runMoved, roomMade, mayHaveMissed, schedulesChanged, instanceChanged } = listener;
  const listeners = [
    await engine.listen(registryChannel, registryChanged, registryChanged),
    await engine.listen(ticketsChannel, ticketsReady, ticketsReady),
    await engine.listen(watchedChannel, ofRun(runWatched)),
    await engine.listen(movedChannel, ofRun(runMoved), mayHaveMissed),
    await engine.listen(roomyChannel, roomMade),
    await engine.listen(schedulesChannel, schedulesChanged, schedulesChanged),
    // Whoever may connect to the database may notify: what names no instance stands for any.
    await engine.listen(
      instancesChannel,
      (payload) => instanceChanged(instanceIdSchema.safeParse(payload).data),
      () => instanceChanged(),
    ),
  ];
  return async () => {
    await Promise.all(listeners.map((listening) => listening.unlisten()));
  };
}

async function readEpoch(sql: Sql): Promise<number> {
  const [table] = await sql`SELECT FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'installation'`;
  if (table === undefined) return 0;
  const [installation] = await sql<{ epoch: number }[]>`SELECT epoch FROM installation WHERE tenant_id = ${defaultTenantId}`;
  return installation?.epoch ?? 0;
}

async function readWeights(sql: Sql): Promise<ReadonlyMap<TenantId, number>> {
  const tenants = await sql<{ tenant_id: TenantId; weight: number }[]>`SELECT tenant_id, weight FROM tenants`;
  return new Map(tenants.map((tenant) => [tenant.tenant_id, tenant.weight]));
}
