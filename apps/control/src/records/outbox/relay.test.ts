import { HiveError, type TenantId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock } from '@hivekeeper/testkit';
import { expect, it } from 'vitest';
import type { OutboxEntry, OutboxStore } from './outbox-store.ts';
import { Relay } from './relay.ts';

const entryOf = (about: string): OutboxEntry => ({ seq: about, tenantId: 'ten_x' as TenantId, kind: 'run.completed', about });

it('what cannot be described or published stays, is tried again, and holds up nothing behind it', async () => {
  const clock = new FakeClock();
  let kept = ['unreadable', 'refused', 'a', 'b'].map(entryOf);
  const bad = new Set(['unreadable', 'refused']);
  const published: string[] = [];
  const store: Pick<OutboxStore, 'take'> = {
    take: async (_which, tell) => {
      const told = await tell(kept);
      kept = kept.filter((entry) => !told.includes(entry));
      return told.length;
    },
  };
  await using stack = new AsyncDisposableStack();
  const relay = new Relay<string>({
    store,
    kinds: ['run.completed'],
    describe: async ({ about }) => {
      if (about === 'unreadable' && bad.has(about)) throw new HiveError('INTERNAL');
      return about;
    },
    publish: async (about) => {
      if (bad.has(about)) throw new HiveError('BROKER_UNREACHABLE');
      published.push(about);
    },
    isConnected: () => true,
    clock,
    log: newLog({ level: 'silent', component: 'test' }),
  });
  stack.use(relay);
  await clock.advance(500);
  expect(published).toEqual(['a', 'b']);
  expect(kept.map(({ about }) => about)).toEqual(['unreadable', 'refused']);
  bad.clear();
  await clock.advance(500);
  expect([published, kept]).toEqual([['a', 'b', 'unreadable', 'refused'], []]);
});
