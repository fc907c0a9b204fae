import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Client, createClient } from '@hivekeeper/client';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '@hivekeeper/embedded-postgres';
import { newLog } from '@hivekeeper/kernel';
import { type FaultProxy, startFaultProxy } from '@hivekeeper/testkit';
import { KeptProcess } from './kept-process.ts';
import { leaseMs } from './settings.ts';

const product = resolve(import.meta.dirname, '../../..');

/** What a fleet is like. */
export interface FleetOptions {
  readonly planeCount: number;
  readonly workersPerPlane: number;
  /** Where the database lies, if not beside everything else. */
  readonly postgresDirectory?: string;
  /** Programs put before Node, for processes that see another world. */
  readonly wrapperOf?: (process: 'control' | 'worker') => readonly string[];
  /** Options of Node, for both. */
  readonly nodeOptions?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

// Node keeps there what it made of our sources, as `hive` has it do, so that a process that was killed is back sooner.
const compileCache = { NODE_COMPILE_CACHE: join(product, 'node_modules/.cache/chaos') };

const usual: FleetOptions = { planeCount: 2, workersPerPlane: 4 };

/** A control plane, and the connections that a fault may meet. */
export interface Plane {
  readonly process: KeptProcess;
  readonly client: Client;
  readonly toDatabase: FaultProxy;
  readonly toWorkers: FaultProxy;
  /** Those that know this control plane only. */
  readonly workers: readonly KeptProcess[];
}

/** Two control planes on one database, each with workers of its own, every connection between them through a fault proxy. */
export interface Fleet extends AsyncDisposable {
  readonly postgres: EmbeddedPostgres;
  /** As a superuser, past every proxy: for those who look from outside. */
  readonly sqlUrl: string;
  readonly planes: readonly Plane[];
  readonly workers: readonly KeptProcess[];
  /** Of the first control plane, past its proxy, and the key that all of them know. */
  readonly url: string;
  readonly adminKey: string;
  /** Where agents write down that they were executed. */
  readonly executions: string;
}

/** Starts everything below a directory. */
export async function startFleet(directory: string, options: FleetOptions = usual): Promise<Fleet> {
  await using stack = new AsyncDisposableStack();
  const executions = join(directory, 'executions');
  await mkdir(executions, { mode: 0o777 });
  const postgres = stack.use(
    await startEmbeddedPostgres({
      directory: options.postgresDirectory ?? join(directory, 'postgres'),
      fast: true,
      log: newLog({ level: 'silent', component: 'chaos' }),
    }),
  );
  await fillCompileCache();
  const planes: Plane[] = [];
  for (let index = 0; index < options.planeCount; index += 1) planes.push(await startPlane(stack, { directory, index, postgres, options }));
  const workers = planes.flatMap((plane) => plane.workers);
  const token = await adminKeyIn(directory);
  const sqlUrl = postgres.url('superuser').replace(/\/postgres$/, '/hive');
  const started = stack.move();
  const url = `http://127.0.0.1:${portOf(postgres, { index: 0, options })}`;
  return { postgres, sqlUrl, url, adminKey: token, planes, workers, executions, [Symbol.asyncDispose]: () => started.disposeAsync() };
}

/** Only a process that ends by itself fills the cache; these end at once, for want of such an option. */
async function fillCompileCache(): Promise<void> {
  await Promise.all(
    ['control', 'worker'].map(async (app) => {
      const words = ['--disable-warning=ExperimentalWarning', join(product, `apps/${app}/src/main.ts`), '--fill-the-cache'];
      const child = spawn(process.execPath, words, { stdio: 'ignore', env: { PATH: process.env['PATH'], ...compileCache } });
      await once(child, 'exit');
    }),
  );
}

interface PlaneOptions {
  readonly directory: string;
  readonly index: number;
  readonly postgres: EmbeddedPostgres;
  readonly options: FleetOptions;
}

async function startPlane(stack: AsyncDisposableStack, { directory, index, postgres, options }: PlaneOptions): Promise<Plane> {
  const toDatabase = stack.use(await startFaultProxy({ targetHost: '127.0.0.1', targetPort: postgres.port }));
  const databaseUrl = new URL(postgres.url('app'));
  databaseUrl.port = String(toDatabase.port);
  const port = portOf(postgres, { index, options });
  const process = new KeptProcess({
    args: [
      ...(options.nodeOptions ?? []),
      join(product, 'apps/control/src/main.ts'),
      '--json',
      '--data',
      dataOf(directory, index),
      '--port',
      String(port),
    ],
    environment: {
      DATABASE_URL: databaseUrl.href,
      HIVE_LEASE_MS: String(leaseMs),
      HIVE_DATABASE_CONNECTIONS: '5',
      HIVE_LOG_LEVEL: 'warn',
      ...compileCache,
      // They would be judged as runs of the load.
      HIVE_CANARY_MS: '0',
      ...options.environment,
    },
    logFile: join(directory, `control-${index}.log`),
    wrapper: options.wrapperOf?.('control') ?? [],
    saysReady: true,
  });
  stack.defer(() => process.stop());
  await process.start();
  const url = `http://127.0.0.1:${port}`;
  const toWorkers = stack.use(await startFaultProxy({ targetHost: '127.0.0.1', targetPort: port }));
  const token = await adminKeyIn(directory);
  const workers = await Promise.all(
    Array.from({ length: options.workersPerPlane }, (_, number) =>
      startWorker(stack, { directory, port: toWorkers.port, name: `worker-${index}-${number}`, token, options }),
    ),
  );
  return { process, client: createClient({ url, token, timeoutMs: 15_000 }), toDatabase, toWorkers, workers };
}

// Above the range in which our own servers find ports, below the one of outgoing connections: it is the plane's for good.
const portOf = ({ port }: EmbeddedPostgres, { index, options }: Pick<PlaneOptions, 'index' | 'options'>): number =>
  30_000 + ((port * options.planeCount + index) % 2_000);

const dataOf = (directory: string, index: number): string => join(directory, `control-${index}`);

// The first control plane's key, for all: an answer that is repeated comes from the same person wherever it arrives.
const adminKeyIn = async (directory: string): Promise<string> => (await readFile(join(dataOf(directory, 0), 'admin.key'), 'utf8')).trim();

interface WorkerOptions {
  readonly directory: string;
  readonly port: number;
  readonly name: string;
  readonly token: string;
  readonly options: FleetOptions;
}

async function startWorker(stack: AsyncDisposableStack, { directory, port, name, token, options }: WorkerOptions): Promise<KeptProcess> {
  const url = `http://127.0.0.1:${port}`;
  const worker = new KeptProcess({
    args: [
      ...(options.nodeOptions ?? []),
      join(product, 'apps/worker/src/main.ts'),
      '--url',
      url,
      '--name',
      name,
      '--parallel',
      '2',
      '--root',
      directory,
    ],
    environment: { HIVE_TOKEN: token, HIVE_LOG_LEVEL: 'warn', ...compileCache, ...options.environment },
    logFile: join(directory, `${name}.log`),
    wrapper: options.wrapperOf?.('worker') ?? [],
    saysReady: false,
  });
  stack.defer(() => worker.stop());
  await worker.start();
  return worker;
}
