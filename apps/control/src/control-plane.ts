/**
 * The composition root: this file and engine.ts, its inner half, are the only ones that know everyone.
 *
 * Order of start: database → records → flow → door → local workers → ready. Order of stop: the reverse.
 */
import { hash } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultTenantId, HiveError, type KeyRole } from '@hivekeeper/contract';
import { startEmbeddedPostgres } from '@hivekeeper/embedded-postgres';
import { type Log, systemClock } from '@hivekeeper/kernel';
import { LocalWorkers, type LocalWorkersOptions } from './adapters/local-workers/local-workers.ts';
import { readRestoreRecord, requireFinished } from './adapters/backup-files/restore-record.ts';
import { openDatabase, type PostgresDatabase } from './adapters/postgres/index.ts';
import type { MqttBrokerOptions } from './adapters/brokers/mqtt/mqtt-broker.ts';
import type { ControlConfig } from './config.ts';
import { type Engine, startEngine } from './engine.ts';
import { createServer } from './http/server.ts';
import type { KeyRing } from './records/keys/index.ts';
import { connectBrokers, serveGrpc } from './outside.ts';
import { openModels } from './providers.ts';
import { registerShipped } from './shipped.ts';

const version = '0.1.0';
/** What calls of models are kept by, and what they may spend. */
const accountsOf = ({ modelCallStore }: PostgresDatabase, { services }: Engine) => ({ store: modelCallStore, budget: services.money });

/** The one directory of the data directory that agents may be granted; what lies beside it are keys and the database. */
const reports = 'reports';
/** Callers that wait while the process stands still: one that finds no room tries again only after seconds, and an agent seems silent. */
const backlog = 4_096;
const productDirectory = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** A control plane that runs. */
export interface ControlPlane extends AsyncDisposable {
  readonly url: string;
  readonly dataDirectory: string;
  /** The MQTT broker that runs inside of it. */
  readonly mqttUrl?: string | undefined;
}

/** Starts a control plane. Disposing it drains: no new work, what was begun is finished, within `drainMs`. */
export async function startControlPlane(
  config: ControlConfig,
  log: Log,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<ControlPlane> {
  await using stack = new AsyncDisposableStack();
  const dataDirectory = resolve(config.dataDirectory);
  await mkdir(join(dataDirectory, reports), { recursive: true });
  const url = config.databaseUrl ?? (await embedded(stack, dataDirectory, log));
  const database = stack.use(await openFinished(dataDirectory, { url, maxConnections: config.databaseConnections, log }));
  const mqttUrl = config.mqttPort === undefined ? undefined : stack.use(await embeddedBroker(config.mqttPort)).url;
  const broker = brokerSettingsOf({ ...config, mqttUrl: mqttUrl ?? config.mqttUrl }, placeOf(dataDirectory), log);
  const engine = stack.use(
    await startEngine({
      database,
      config,
      log,
      shippedDirectory: join(productDirectory, 'agents'),
      environment,
      backups: { directory: resolve(config.backupDirectory ?? join(dataDirectory, 'backups')), productVersion: version },
      openBroker: await brokerOf(broker),
    }),
  );
  await registerShipped(engine.services, productDirectory);
  const token = await keptKeys(engine.services.keys, dataDirectory);
  const models = await openModels(config.modelsFile, { stack, environment, ...accountsOf(database, engine), log });
  let isDraining = false;
  const server = await createServer({
    ...engine.services,
    models: models?.gateway,
    version,
    publicUrl: config.publicUrl,
    isDraining: () => isDraining,
    authentication: config.isOpen ? 'none' : 'api-key',
    rates: config,
  });
  stack.defer(() => server.close());
  const address = await listen(server, config);
  await serveGrpc({ stack, engine, config, isDraining: () => isDraining, log });
  await connectBrokers({ stack, engine, config, broker, outbox: database.outboxStore, clock: systemClock, log });
  stack.use(
    new LocalWorkers({
      count: config.workerCount,
      entry: join(productDirectory, 'apps/worker/src/main.ts'),
      url: address,
      token,
      ...workspaceOf(config, dataDirectory, environment),
      ...{ logLevel: config.logLevel, drainMs: config.drainMs, clock: systemClock, log },
      // Agents see only what they declare, but what they declare must be there to be given.
      environment: { ...environment, ...kept(['DATABASE_URL', 'NATS_URL', 'MQTT_PASSWORD', ...(models?.keyVariables ?? [])]) },
    }),
  );
  stack.defer(() => {
    isDraining = true;
    engine.services.desk.stopHandingOut();
  });
  const started = stack.move();
  return { url: address, dataDirectory, mqttUrl, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

// An agent's manifest may name any variable of its worker.
const kept = (variables: readonly string[]): Record<string, undefined> =>
  Object.fromEntries(variables.map((variable) => [variable, undefined]));

/** What lies in the data directory is named by its place: control planes that share a database must not take each other's keys away. */
const placeOf = (dataDirectory: string): string => `${hostname()}:${dataDirectory}`;

// Loaded where it is wanted: most installations have no broker.
const embeddedBroker = async (port: number) => (await import('./adapters/brokers/embedded/embedded-broker.ts')).startEmbeddedBroker(port);

/** How to reach the MQTT broker, where there is one. */
function brokerSettingsOf(
  { mqttUrl: url, mqttUsername: username, mqttPassword: password }: Pick<ControlConfig, 'mqttUrl' | 'mqttUsername' | 'mqttPassword'>,
  place: string,
  log: Log,
): MqttBrokerOptions | undefined {
  if (url === undefined) return undefined;
  return { url, username, password, clientId: `hive-${hash('sha256', place).slice(0, 16)}`, clock: systemClock, log };
}

const brokerOf = async (settings: MqttBrokerOptions | undefined) =>
  settings && (await import('./adapters/brokers/mqtt/mqtt-broker.ts')).mqttBroker(settings);

/** Where agents of the local workers may be granted paths, and what is kept from them. */
function workspaceOf(
  { roots }: ControlConfig,
  dataDirectory: string,
  environment: Readonly<Record<string, string | undefined>>,
): Pick<LocalWorkersOptions, 'roots' | 'protectedDirectories'> {
  const given = roots?.split(':').filter(Boolean) ?? [process.cwd()];
  const kept = realpathSync(dataDirectory);
  for (const root of given) {
    const way = relative(kept, existsSync(root) ? realpathSync(root) : resolve(root));
    if (way !== '' && way.split(sep)[0] !== '..' && way.split(sep)[0] !== reports)
      throw new HiveError('CONFIGURATION_INVALID', `HIVE_ROOTS: ${root} lies in the data directory, which is kept from agents`);
  }
  return {
    roots: [...given, join(kept, reports)].join(':'),
    protectedDirectories: [kept, ...(environment['HIVE_PROTECTED']?.split(':').filter(Boolean) ?? [])].join(':'),
  };
}

/** The database, unless a restore into this directory did not finish. @throws HiveError RESTORE_UNFINISHED */
async function openFinished(
  dataDirectory: string,
  options: { readonly url: string; readonly maxConnections: number; readonly log: Log },
): Promise<PostgresDatabase> {
  const record = await readRestoreRecord(dataDirectory);
  return openDatabase({ ...options, requireEpoch: (epoch) => requireFinished(record, epoch) });
}

async function embedded(stack: AsyncDisposableStack, dataDirectory: string, log: Log): Promise<string> {
  const postgres = stack.use(await startEmbeddedPostgres({ directory: join(dataDirectory, 'postgres'), log }));
  return postgres.url('app', 'socket');
}

async function listen(server: Awaited<ReturnType<typeof createServer>>, { host, port }: ControlConfig): Promise<string> {
  try {
    return await server.listen({ host, port, backlog });
  } catch (cause) {
    if ((cause as { code?: string }).code === 'EADDRINUSE')
      throw new HiveError('PORT_IN_USE', `port ${port} on ${host} is taken`, { cause });
    throw cause;
  }
}

/** The keys of people and of local workers; gives the latter. */
async function keptKeys(keys: KeyRing, dataDirectory: string): Promise<string> {
  const place = placeOf(dataDirectory);
  await keptKey(keys, { file: join(dataDirectory, 'admin.key'), name: `admin@${place}`, role: 'admin' });
  return keptKey(keys, { file: join(dataDirectory, 'local-workers.key'), name: `local-workers@${place}`, role: 'worker' });
}

/** A key that a file keeps over restarts, readable by its owner only. */
async function keptKey(
  keys: KeyRing,
  { file, ...key }: { readonly file: string; readonly name: string; readonly role: KeyRole },
): Promise<string> {
  const kept = await readFile(file, 'utf8').catch(ifAbsent(''));
  // A key that was revoked stays so: its file gets another one.
  if (kept.trim() !== '' && (await keys.adopt({ ...key, tenantId: defaultTenantId, text: kept.trim() }))) return kept.trim();
  const text = await keys.issue({ ...key, tenantId: defaultTenantId });
  // Put in place whole: a file cut off by a crash would be taken for the key.
  await writeFile(`${file}.new`, `${text}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return text;
}

const ifAbsent =
  <T>(instead: T) =>
  (error: unknown): T => {
    if ((error as { readonly code?: string }).code === 'ENOENT') return instead;
    throw error;
  };
