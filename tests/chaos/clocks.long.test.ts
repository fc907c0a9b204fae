// @module-tag needs-bwrap
// @module-tag needs-faketime
import { join } from 'node:path';
import { seededRandom } from '@hivekeeper/testkit';
import { setTimeout as pause } from 'node:timers/promises';
import postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../stack/stack.ts';
import { Caller } from './harness/caller.ts';
import { startFleet } from './harness/fleet.ts';
import { Journal } from './harness/journal.ts';
import { judge } from './harness/judge/index.ts';
import { prepare } from './harness/load.ts';
import { leaseMs } from './harness/settings.ts';

const offsets = ['+1h', '-1h', '+1d', '-1d', '-3650d'];
const kindNames = ['diamond', 'asks', 'sleeps'];

interface Skew {
  readonly whose: 'control' | 'worker';
  readonly offset: string;
}

/** Runs of every kind, with a worker killed in the middle so that a lease has to run out; everything is judged. */
async function liveThrough({ whose, offset }: Skew) {
  await using directory = await temporaryDirectory('clocks');
  await using fleet = await startFleet(directory.path, {
    planeCount: 1,
    workersPerPlane: 2,
    // Wall clocks only: no machine's monotonic clock jumps.
    environment: { FAKETIME_DONT_FAKE_MONOTONIC: '1' },
    wrapperOf: (process) => (process === whose ? ['faketime', '-f', offset] : []),
  });
  const sql = postgres(fleet.sqlUrl, { max: 1, onnotice: () => {} });
  try {
    using journal = new Journal(join(directory.path, 'journal'));
    const caller = new Caller({ fleet, journal, random: seededRandom(1) });
    await prepare(fleet);
    for (let round = 0; round < 4; round += 1) await Promise.all(kindNames.map((kind) => caller.start(kind, `${kind}-${round}`)));
    const leased = async () => (await sql`SELECT FROM tickets WHERE token IS NOT NULL AND lease_until > now()`).length;
    await expect.poll(leased, { interval: 5, timeout: 30_000 }).toBeGreaterThan(0);
    const [first] = await sql<{ left_ms: number }[]>`
      SELECT max(extract(epoch FROM lease_until - now()) * 1000)::float8 AS left_ms FROM tickets WHERE token IS NOT NULL`;
    process.kill(fleet.workers[0]?.pid ?? 0, 'SIGKILL');
    for (const endMs = performance.now() + 60_000; performance.now() < endMs; await pause(20)) {
      for (const { id } of await sql<{ id: string }[]>`SELECT id FROM approvals WHERE status = 'PENDING'`) await caller.decide(id, true);
      if ((await sql`SELECT FROM runs WHERE finished_at IS NULL`).length === 0) break;
    }
    const [skewed] = await sql<{ off_ms: number }[]>`
      SELECT (SELECT (events->0->>'atMs')::float8 FROM run_journal ORDER BY transaction LIMIT 1) - extract(epoch FROM now()) * 1000 AS off_ms`;
    return {
      leaseLeftMs: first?.left_ms ?? 0,
      controlOffMs: skewed?.off_ms ?? 0,
      judgement: await judge(sql, { executions: fleet.executions, entries: journal.entries }),
    };
  } finally {
    await sql.end({ timeout: 1 });
  }
}

describe('a process whose clock is wrong', () => {
  test.each(offsets.flatMap((offset) => [{ whose: 'worker', offset } as const, { whose: 'control', offset } as const]))(
    'by $offset ($whose) doubles nothing, misses no timer, and leaves leases as long as they are',
    { timeout: 400_000 },
    async (skew) => {
      const { leaseLeftMs, controlOffMs, judgement } = await liveThrough(skew);
      expect(judgement.findings).toEqual([]);
      expect(judgement.runs).toBe(4 * kindNames.length);
      expect(leaseLeftMs).toBeLessThanOrEqual(leaseMs);
      // The clock really was another one.
      if (skew.whose === 'control') expect(Math.abs(controlOffMs)).toBeGreaterThan(3_000_000);
    },
  );
});
