import type { RunId } from '@hivekeeper/contract';
import { FakeClock } from '@hivekeeper/testkit';
import { expect, it } from 'vitest';
import { sendCanary } from './canary-run.ts';

it('a canary of which nothing is heard is over after 90 s, and its watcher is gone', async () => {
  const clock = new FakeClock();
  let watchers = 0;
  const end = sendCanary(
    {
      triggers: { fire: async () => ({ runId: 'run_1' as RunId }) } as never,
      runs: { watch: async () => (watchers += 1) && (() => (watchers -= 1)) } as never,
      clock,
    },
    'node',
  );
  await clock.advance(89_999);
  expect(watchers).toBe(1);
  await clock.advance(1);
  expect(await end).toEqual({ kind: 'unserved' });
  expect(watchers).toBe(0);
});
