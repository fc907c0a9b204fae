import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { type Client, createClient } from '@hivekeeper/client';

const command = resolve(import.meta.dirname, '../../apps/cli/bin/hive.mjs');

/** What a process of the product sees of the world. */
export type Surroundings = Readonly<Record<string, string>>;

/** `hive …` as a person types it, as a process of its own that is ended with the test. */
export interface HiveProcess extends AsyncDisposable {
  readonly process: ChildProcess;
  /** The exit status, and what was said on stderr. */
  readonly ended: Promise<{ readonly status: number | null; readonly said: string }>;
}

/** Starts a command. */
export function hive(args: readonly string[], surroundings: Surroundings = {}): HiveProcess {
  const child = spawn(process.execPath, [command, ...args], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...surroundings },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = Promise.all([once(child, 'exit'), text(child.stderr)]).then(([[status], said]) => ({
    status: status as number | null,
    said,
  }));
  return {
    process: child,
    ended,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** A control plane that `hive up` or `hive control` started. */
export interface HiveControl extends HiveProcess {
  readonly url: string;
  readonly client: Client;
  readonly adminKey: string;
}

/** Starts a control plane on a free port and waits until it is ready. */
export async function hiveControl(name: 'up' | 'control', dataDirectory: string, surroundings: Surroundings): Promise<HiveControl> {
  const started = hive([name, '--json', '--data', dataDirectory, '--port', '0'], surroundings);
  const { stdout } = started.process;
  const line = stdout === null ? undefined : await Promise.race([once(createInterface({ input: stdout }), 'line'), started.ended]);
  const { url } = Array.isArray(line) ? (JSON.parse(line[0] as string) as { readonly url?: string }) : {};
  if (url === undefined) throw new HiveDidNotStart(await started.ended);
  const adminKey = (await readFile(resolve(dataDirectory, 'admin.key'), 'utf8')).trim();
  return { ...started, url, adminKey, client: createClient({ url, token: adminKey }) };
}

/** The control plane ended before it was ready; the message is what it said. */
class HiveDidNotStart extends Error {
  readonly status: number | null;

  constructor({ status, said }: Awaited<HiveProcess['ended']>) {
    super(said);
    this.status = status;
  }
}
