import { access, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { seededRandom } from '@hivekeeper/testkit';
import postgres from 'postgres';
import { temporaryDirectory } from '../../stack/stack.ts';
import { Caller } from '../harness/caller.ts';
import { startFleet } from '../harness/fleet.ts';
import { Journal } from '../harness/journal.ts';
import { type Judgement, judge } from '../harness/judge/index.ts';
import { prepare } from '../harness/load.ts';
import { type Failpoint, failpoints, textOf } from './points.ts';

/** What became of killing at every place once. */
export interface ExhaustiveResult {
  readonly hit: readonly string[];
  readonly notHit: readonly string[];
  readonly unfinished: readonly string[];
  readonly judgement: Judgement;
}

const preload = join(import.meta.dirname, 'preload.ts');
const patienceMs = 60_000;

/** Kills one process at each place in turn, with runs of every kind under way, and judges all of them at the end. */
export async function killEverywhere(say: (line: string) => void): Promise<ExhaustiveResult> {
  await using directory = await temporaryDirectory('failpoints');
  const file = join(directory.path, 'armed');
  await using fleet = await startFleet(directory.path, {
    planeCount: 1,
    workersPerPlane: 1,
    nodeOptions: ['--import', preload],
    environment: { HIVE_FAILPOINT: file },
  });
  const sql = postgres(fleet.sqlUrl, { max: 1, onnotice: () => {} });
  try {
    using journal = new Journal(join(directory.path, 'journal'));
    const caller = new Caller({ fleet, journal, random: seededRandom(1) });
    await prepare(fleet);
    const scene: Scene = { file, sql, caller, worker: () => fleet.workers[0]?.pid, control: () => fleet.planes[0]?.process.pid };
    const outcomes: { text: string; isHit: boolean; hasEnded: boolean }[] = [];
    for (const [index, point] of failpoints.entries()) {
      const outcome = { text: textOf(point), ...(await killAt(point, index, scene)) };
      say(`${outcome.text}: ${outcome.isHit ? 'killed' : 'NOT REACHED'}, ${outcome.hasEnded ? 'all runs ended' : 'RUNS LEFT'}`);
      outcomes.push(outcome);
    }
    return {
      hit: outcomes.filter(({ isHit }) => isHit).map(({ text }) => text),
      notHit: outcomes.filter(({ isHit }) => !isHit).map(({ text }) => text),
      unfinished: outcomes.filter(({ hasEnded }) => !hasEnded).map(({ text }) => text),
      judgement: await judge(sql, { executions: fleet.executions, entries: journal.entries }),
    };
  } finally {
    await sql.end({ timeout: 1 });
  }
}

interface Scene {
  readonly file: string;
  readonly sql: postgres.Sql;
  readonly caller: Caller;
  readonly worker: () => number | undefined;
  readonly control: () => number | undefined;
}

async function killAt(point: Failpoint, index: number, { file, sql, caller, worker, control }: Scene) {
  await rm(`${file}.hit`, { force: true });
  await writeFile(file, textOf(point));
  // A process that starts, registers; a lease that ran out needs a worker that is gone.
  const needsLoss = point.name === 'commit ticket.lost' || point.name === 'statement expired' || point.name.endsWith('register');
  const begun = await Promise.all(['diamond', 'asks', 'sleeps', 'stops'].map((kind) => caller.start(kind, `${kind}-${index}`)));
  if (needsLoss) await killAtWork(sql, worker);
  // What is in memory is not read: only a successor folds.
  if (point.name === 'statement fold') await killAtWork(sql, control);
  const stops = begun.at(-1);
  if (stops !== undefined) await caller.order('cancel', stops);
  const hasEnded = await ended(sql, caller);
  const isHit = await access(`${file}.hit`).then(
    () => true,
    () => false,
  );
  return { isHit, hasEnded };
}

/** Kills a process while tickets are leased. */
async function killAtWork(sql: postgres.Sql, pidOf: () => number | undefined): Promise<void> {
  for (const endMs = performance.now() + patienceMs; performance.now() < endMs; await pause(10)) {
    const [row] = await sql<{ count: number }[]>`SELECT count(*)::integer AS count FROM tickets WHERE token IS NOT NULL`;
    const pid = pidOf();
    if (row?.count === 0 || pid === undefined) continue;
    process.kill(pid, 'SIGKILL');
    return;
  }
}

/** Decides what is asked, until every run has ended. */
async function ended(sql: postgres.Sql, caller: Caller): Promise<boolean> {
  for (const endMs = performance.now() + patienceMs; performance.now() < endMs; await pause(20)) {
    for (const { id } of await sql<{ id: string }[]>`SELECT id FROM approvals WHERE status = 'PENDING'`) await caller.decide(id, true);
    const [row] = await sql<{ count: number }[]>`SELECT count(*)::integer AS count FROM runs WHERE finished_at IS NULL`;
    if (row?.count === 0) return true;
  }
  return false;
}
