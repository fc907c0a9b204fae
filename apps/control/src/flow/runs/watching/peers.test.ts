import type { RunId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock } from '@hivekeeper/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { type PeerMessage, Peers } from './peers.ts';

const [one, two] = ['run_1', 'run_2'] as [RunId, RunId];
const forgottenAfterMs = 10_000;

let clock: FakeClock;
let said: PeerMessage[];
let fault: Error | undefined;
let peers: Peers;
beforeEach(async () => {
  clock = new FakeClock();
  [said, fault] = [[], undefined];
  const line = {
    say: async (message: PeerMessage) => {
      said.push(message);
      if (fault !== undefined) throw fault;
    },
  };
  peers = new Peers({ line, clock, log: newLog({ level: 'silent', component: 'test' }), forgottenAfterMs });
  // The machine's monotonic clock has always run for a while.
  await clock.advance(1_000);
});

/** Lets what was said go out, and the rest after it pass. */
const soon = () => clock.advance(50);

describe('another control plane', () => {
  it('is told nothing of a run that it did not say it watches', async () => {
    peers.tell(one);
    await soon();
    expect(said).toEqual([]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('is told to look when it begins to watch, and then of each piece of news', async () => {
    peers.heard(one);
    await soon();
    peers.heard(one);
    await soon();
    peers.tell(one);
    peers.tell(two);
    await soon();
    expect(said).toEqual([
      { watched: [], moved: [one], roomy: [] },
      { watched: [], moved: [one], roomy: [] },
    ]);
  });

  it('that says no more that it watches a run is told of it no longer', async () => {
    peers.heard(one);
    await clock.advance(forgottenAfterMs);
    peers.heard(one);
    await clock.advance(forgottenAfterMs);
    said.length = 0;
    peers.tell(one);
    await soon();
    expect(said).toHaveLength(1);
    await clock.advance(forgottenAfterMs);
    peers.tell(one);
    await soon();
    expect(said).toHaveLength(1);
    peers.heard(one);
    await soon();
    expect(said).toHaveLength(2);
  });

  it('gets what comes fast in one message each 50 ms', async () => {
    peers.heard(one);
    peers.heard(two);
    peers.announce([two]);
    await clock.advance(0);
    for (let count = 0; count < 100; count += 1) peers.tell(count % 2 === 0 ? one : two);
    await clock.advance(49);
    expect(said).toEqual([{ watched: [two], moved: [one, two], roomy: [] }]);
    await clock.advance(1);
    expect(said.slice(1)).toEqual([{ watched: [], moved: [one, two], roomy: [] }]);
  });

  it('is told of a key that has room, once for all that was said in 50 ms', async () => {
    peers.tellRoom('t key:printer');
    await clock.advance(0);
    for (let count = 0; count < 3; count += 1) peers.tellRoom('t key:printer');
    await clock.advance(50);
    expect(said).toEqual([1, 2].map(() => ({ watched: [], moved: [], roomy: ['t key:printer'] })));
  });

  it('that could not be told is told the next time', async () => {
    fault = new TypeError('no connection');
    peers.announce([one]);
    await soon();
    fault = undefined;
    peers.announce([one, two]);
    await soon();
    expect(said.map(({ watched }) => watched)).toEqual([[one], [one, two]]);
  });
});

it('is silent after its end, and leaves no timer', async () => {
  peers.announce([one]);
  peers[Symbol.dispose]();
  await soon();
  peers.announce([two]);
  await soon();
  expect(said).toHaveLength(1);
  expect(clock.pendingTimers).toBe(0);
});
