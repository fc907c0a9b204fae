import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** A broker of its own on loopback. Its port stays the same over restarts. */
export interface Mosquitto extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** As an operator stops it: it writes down what it keeps. */
  stop(): Promise<void>;
  /** kill -9. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Removes everything it kept. Only while it is stopped. */
  forget(): Promise<void>;
}

// Debian puts daemons where the path of ordinary users does not look.
const searchPath = [process.env['PATH'], '/usr/sbin'].join(delimiter);

/** Starts a mosquitto of Debian on a free port. */
export async function startMosquitto(settings: readonly string[] = []): Promise<Mosquitto> {
  const directory = await mkdtemp(join(tmpdir(), 'hive-mosquitto-'));
  // Started by root, it becomes an account of its own.
  await chmod(directory, 0o777);
  const port = await freePort();
  const file = join(directory, 'mosquitto.conf');
  const database = join(directory, 'mosquitto.db');
  await writeFile(
    file,
    [
      `listener ${port} 127.0.0.1`,
      'allow_anonymous true',
      'persistence true',
      `persistence_location ${directory}/`,
      'set_tcp_nodelay true',
      'max_queued_messages 0',
      'user root',
      ...settings,
    ].join('\n'),
  );
  let broker: ChildProcess | undefined;
  const end = async (signal: NodeJS.Signals) => {
    const ending = broker;
    broker = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const ended = once(ending, 'exit');
    ending.kill(signal);
    await ended;
  };
  const start = async () => {
    broker = spawn('mosquitto', ['-c', file], { stdio: 'ignore', env: { PATH: searchPath } });
    await answers(port, broker);
  };
  await start();
  return {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    start,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    forget: () => rm(database, { force: true }),
    [Symbol.asyncDispose]: async () => {
      await end('SIGKILL');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** It cannot be started, or ended at once. */
class BrokerDidNotStart extends Error {}

async function answers(port: number, broker: ChildProcess): Promise<void> {
  const failed = new Promise<never>((_, reject) => {
    broker.once('error', (error) => reject(new BrokerDidNotStart(`mosquitto: ${error.message}`)));
    broker.once('exit', (code) => reject(new BrokerDidNotStart(`mosquitto ended with ${code}`)));
  });
  const answered = async () => {
    for (;;) {
      const socket = connect(port, '127.0.0.1');
      const isThere = await once(socket, 'connect').then(
        () => true,
        () => false,
      );
      socket.destroy();
      if (isThere) return;
      await wait(10);
    }
  };
  await Promise.race([answered(), failed]);
  broker.removeAllListeners('exit');
  failed.catch(() => {});
}
