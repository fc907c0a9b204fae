// @module-tag needs-bwrap
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import type { Client } from '@hivekeeper/client';
import { HiveError, type RunEvent, type RunId } from '@hivekeeper/contract';
import { retry } from '@hivekeeper/kernel';
import { expect, test } from 'vitest';
import { type ExternalPostgres, startExternalPostgres } from '../stack/external-postgres.ts';
import { allGone, descendants, killAll, type Stack, startStack, temporaryDirectory } from '../stack/stack.ts';

const recorder = resolve(import.meta.dirname, 'fixtures/recorder');
const [pressedCount, limit, eventCount, sleepCount] = [120, 3, 60, 20];
const strikes = [[0], [1], [0, 1], [0, 1]];
const [leastKills, leastFirings, leastLooks] = [6, 10, 100];

/** Two control planes on one database, of which either may be gone. */
interface Planes {
  /** Calls whichever is there, as often as it takes. */
  ask<T>(call: (client: Client) => Promise<T>): Promise<T>;
  /** kill -9 of one or both, and their starts; resolves when they are ready. */
  strike(victims: readonly number[]): Promise<void>;
  readonly kills: () => number;
  end(): Promise<void>;
}

async function openPlanes(directory: string, database: ExternalPostgres): Promise<Planes> {
  const start = (index: number) =>
    startStack({
      dataDirectory: join(directory, `plane-${index}`),
      roots: [directory],
      leaseMs: 3_000,
      environment: { DATABASE_URL: database.url, HIVE_PARALLEL: '4' },
    });
  const stacks: Stack[] = await Promise.all([start(0), start(1)]);
  let kills = 0;
  let turn = 0;
  return {
    ask: (call) =>
      retry(() => call((stacks[(turn += 1) % 2] as Stack).client), {
        maxAttempts: 60,
        minDelayMs: 100,
        maxDelayMs: 500,
        isRetryable: (error) => HiveError.is(error) && error.entry.consequence === 'retry',
      }),
    strike: async (victims) => {
      await Promise.all(
        victims.map(async (index) => {
          const { pid } = stacks[index] as Stack;
          const all = [pid, ...(await descendants(pid))];
          killAll(all);
          await allGone(all);
          kills += 1;
        }),
      );
      await Promise.all(victims.map(async (index) => (stacks[index] = await start(index))));
    },
    kills: () => kills,
    end: async () => void (await Promise.all(stacks.map((stack) => stack.stop()))),
  };
}

/** Looks from outside, until it is stopped, how many runs that take turns go at once, and for runs that nothing will move. */
function watch({ sql }: ExternalPostgres) {
  const stopping = new AbortController();
  const seen = { most: 0, looks: 0, stuck: [] as string[] };
  const watching = (async () => {
    while (!stopping.signal.aborted) {
      const [row] = await sql<{ count: number }[]>`
        SELECT count(*)::integer AS count FROM runs r JOIN workflows w ON w.id = r.workflow_id
        WHERE w.name = 'pressed' AND r.status <> 'PENDING' AND r.finished_at IS NULL`;
      seen.most = Math.max(seen.most, row?.count ?? 0);
      const stuck = await sql<{ id: string }[]>`
        SELECT r.id FROM runs r WHERE r.finished_at IS NULL AND r.wake_at IS NULL
          AND NOT EXISTS (SELECT FROM tickets t WHERE t.run_id = r.id)
          AND NOT EXISTS (SELECT FROM run_turns u WHERE u.run_id = r.id AND r.status = 'PENDING')`;
      seen.stuck.push(...stuck.map(({ id }) => id));
      seen.looks += 1;
      await rest(5);
    }
  })();
  return async () => {
    stopping.abort();
    await watching;
    return seen;
  };
}

const journalOf = async ({ sql }: ExternalPostgres, runId: string): Promise<RunEvent[]> =>
  (await sql<{ events: RunEvent[] }[]>`SELECT events FROM run_journal WHERE run_id = ${runId} ORDER BY version`).flatMap(
    (row) => row.events,
  );

async function begin({ ask }: Planes, records: string) {
  await ask((client) => client.registerAgent({ entryPath: recorder }));
  const work = { agent: 'recorder', input: { directory: records }, timeoutMs: 20_000 };
  await ask((client) => client.deployWorkflow({ name: 'pressed', concurrency: { limit }, nodes: [{ id: 'a', ...work }] }));
  await ask((client) =>
    client.deployWorkflow({
      name: 'ticking',
      nodes: [{ id: 'a', sleep: { forMs: 1 } }],
      trigger: { schedule: { cron: '* * * * * *', catchUp: 'all', overlap: 'allow' } },
    }),
  );
  await ask((client) =>
    client.deployWorkflow({
      name: 'paid',
      nodes: [
        { id: 'nap', sleep: { forMs: 500 } },
        { id: 'paid', needs: ['nap'], wait: { event: 'paid', key: '{{ context.order }}' } },
      ],
    }),
  );
  await ask((client) =>
    client.deployWorkflow({
      name: 'napping',
      nodes: [
        { id: 'a', sleep: { forMs: 4_000 } },
        { id: 'b', ...work, needs: ['a'] },
      ],
    }),
  );
  const start = (workflow: string, index: number) =>
    ask(
      async (client) =>
        (await client.startRun(workflow, { context: { order: `o-${index}` } }, { idempotencyKey: `${workflow}-${index}` })).id,
    );
  const many = (workflow: string, count: number) => Promise.all(Array.from({ length: count }, (_, index) => start(workflow, index)));
  return { pressed: await many('pressed', pressedCount), paid: await many('paid', eventCount), napping: await many('napping', sleepCount) };
}

test('kill -9 of either control plane or both, again and again: turns, schedules, events and sleeps happen once', async () => {
  await using directory = await temporaryDirectory('time');
  const records = join(directory.path, 'records');
  await mkdir(records, { mode: 0o777 });
  await using database = await startExternalPostgres(join(directory.path, 'external'));
  const planes = await openPlanes(directory.path, database);
  const stopWatching = watch(database);
  const runs = await begin(planes, records);
  const openCount = async () =>
    (await database.sql`SELECT FROM runs r JOIN workflows w ON w.id = r.workflow_id WHERE w.name <> 'ticking' AND r.finished_at IS NULL`)
      .length;

  // Events come while planes die: each is published until somebody says that it is stored.
  const publishing = (async () => {
    for (let index = 0; index < eventCount; index += 1) {
      const event = { type: 'paid', key: `o-${index}`, payload: index, eventId: `paid-${index}` };
      await planes.ask((client) => client.publish(event));
      await rest(150);
    }
  })();
  for (const victims of strikes) await planes.strike(victims);
  await publishing;
  while ((await openCount()) > 0) await rest(50);
  // A machine that is fast is through with the rest before the schedule was due often enough.
  while ((await database.sql`SELECT FROM schedule_firings`).length < leastFirings) await rest(50);
  await planes.ask((client) => client.pauseSchedule('ticking'));
  while ((await database.sql`SELECT FROM runs WHERE finished_at IS NULL`).length > 0) await rest(50);
  const seen = await stopWatching();
  await planes.end();

  expect(planes.kills()).toBeGreaterThanOrEqual(leastKills);
  expect(seen.looks).toBeGreaterThanOrEqual(leastLooks);
  expect(seen.most).toBe(limit);
  expect(seen.stuck).toEqual([]);
  const ended = await database.sql<{ status: string }[]>`SELECT DISTINCT status FROM runs`;
  expect(ended).toEqual([{ status: 'SUCCESS' }]);

  for (const [index, runId] of runs.paid.entries()) {
    const received = (await journalOf(database, runId)).filter((event) => event.type === 'signal.received');
    expect(received.map((event) => event.type === 'signal.received' && event.payload)).toEqual([index]);
  }
  for (const runId of [...runs.pressed, ...runs.napping]) {
    const settled = (await journalOf(database, runId)).filter((event) => event.type === 'ticket.settled');
    expect(settled).toHaveLength(1);
  }

  // Every second from the first to the last has its firing, and each firing its one run.
  const firings = await database.sql<{ nominal_at: Date; outcome: string; run_id: RunId }[]>`
    SELECT nominal_at, outcome, run_id FROM schedule_firings ORDER BY nominal_at`;
  const [first, last] = [firings[0], firings.at(-1)].map((firing) => firing?.nominal_at.getTime() ?? 0) as [number, number];
  expect(new Set(firings.map(({ outcome }) => outcome))).toEqual(new Set(['STARTED']));
  expect(firings).toHaveLength((last - first) / 1_000 + 1);
  expect(firings.length).toBeGreaterThanOrEqual(leastFirings);
  const ticked = await database.sql<{ id: RunId }[]>`SELECT id FROM runs WHERE trigger = 'schedule'`;
  expect(ticked.map(({ id }) => id).sort()).toEqual(firings.map(({ run_id }) => run_id).sort());
});
