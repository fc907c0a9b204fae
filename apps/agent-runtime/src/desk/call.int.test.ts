import { systemRandom } from '@hivekeeper/kernel';
import { FakeClock, guardLeaks } from '@hivekeeper/testkit';
import { expect, it } from 'vitest';
import { callBroker } from './call.ts';

guardLeaks();

it('a command gives a broker five seconds to answer', async () => {
  const clock = new FakeClock();
  const called = callBroker({ url: 'mqtt://127.0.0.1:9', environment: {}, clock, random: systemRandom }, []);
  const failure = expect(called).rejects.toThrow(/^mqtt:\/\/127\.0\.0\.1:9: /);
  await clock.advance(5_000);
  await failure;
});
