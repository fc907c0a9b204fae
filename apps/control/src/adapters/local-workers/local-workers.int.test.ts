import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newLog, systemClock } from '@hivekeeper/kernel';
import { FakeClock, guardLeaks } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalWorkers } from './local-workers.ts';

guardLeaks();

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'local-workers-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** A worker that writes down what it was given, appends each SIGTERM, and ends as the test says. */
const program = (onSignal: string) => `
import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
const file = process.env.TEST_DIRECTORY + '/' + process.argv[3];
let signalCount = 0;
process.on('SIGTERM', () => { signalCount += 1; appendFileSync(file + '.signals', 'x'); ${onSignal} });
process.on('disconnect', () => process.exit(9));
writeFileSync(file + '.new', JSON.stringify({ pid: process.pid, argv: process.argv.slice(2), token: process.env.HIVE_TOKEN, url: process.env.HIVE_URL, database: process.env.DATABASE_URL }));
renameSync(file + '.new', file + '.' + process.pid);
`;

async function workers(onSignal: string, { count = 1, clock = systemClock, drainMs = 60_000 } = {}): Promise<LocalWorkers> {
  const entry = join(directory, 'worker.mjs');
  await writeFile(entry, program(onSignal));
  const log = newLog({ level: 'silent', component: 'test' });
  return new LocalWorkers({
    count,
    entry,
    url: 'http://127.0.0.1:1',
    token: 'hive_secret',
    roots: '/',
    protectedDirectories: '/data',
    logLevel: 'silent',
    drainMs,
    clock,
    log,
    environment: { TEST_DIRECTORY: directory, DATABASE_URL: undefined },
  });
}

interface Seen {
  readonly pid: number;
  readonly argv: readonly string[];
  readonly token: string;
  readonly url: string;
  readonly database?: string;
}

/** What the workers that came up so far wrote down. */
async function seen(count: number): Promise<Seen[]> {
  const found = async () => (await readdir(directory)).filter((name) => /\.\d+$/.test(name));
  await expect.poll(async () => (await found()).length, { timeout: 20_000, interval: 20 }).toBe(count);
  return Promise.all((await found()).map(async (name) => JSON.parse(await readFile(join(directory, name), 'utf8')) as Seen));
}

const signals = (count: number) =>
  expect
    .poll(() => readFile(join(directory, 'local-1.signals'), 'utf8').catch(() => ''), { timeout: 20_000, interval: 20 })
    .toBe('x'.repeat(count));
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('local workers', () => {
  it('are as many as wanted, and get the key by the environment, never by the command line', async () => {
    await using stack = new AsyncDisposableStack();
    stack.use(await workers('process.exit(0);', { count: 2 }));
    const all = await seen(2);
    expect(all.map(({ argv }) => argv.join(' ')).sort()).toEqual(['--name local-1', '--name local-2']);
    for (const { token, url, database } of all)
      expect({ token, url, database }).toEqual({ token: 'hive_secret', url: 'http://127.0.0.1:1', database: undefined });
  });

  it('are started again when they end unasked', async () => {
    await using stack = new AsyncDisposableStack();
    stack.use(await workers('process.exit(0);'));
    const [first] = await seen(1);
    process.kill(first?.pid ?? 0, 'SIGKILL');
    expect(new Set((await seen(2)).map(({ pid }) => pid)).size).toBe(2);
  });

  it('are asked to end once, and waited for', async () => {
    const all = await workers('setTimeout(() => process.exit(0), 100);');
    const [worker] = await seen(1);
    await all[Symbol.asyncDispose]();
    await signals(1);
    expect(isAlive(worker?.pid ?? 0)).toBe(false);
  });

  it('that do not end in time are hurried, then killed', async () => {
    const clock = new FakeClock();
    const all = await workers('', { clock, drainMs: 1_000 });
    const [worker] = await seen(1);
    const ended = all[Symbol.asyncDispose]();
    await signals(1);
    await clock.advance(2_999);
    await signals(1);
    await clock.advance(1);
    await signals(2);
    await clock.advance(2_000);
    await ended;
    expect(isAlive(worker?.pid ?? 0)).toBe(false);
    expect(clock.pendingTimers).toBe(0);
  });
});
