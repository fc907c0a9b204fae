import type { OutgoingMessage } from '@hivekeeper/bus';
import { FakeClock } from '@hivekeeper/testkit';
import { describe, expect, it } from 'vitest';
import { Presence } from './presence.ts';

/** Replicas on one status topic, each hearing what the others say, as over a broker. */
function replicas(clock: FakeClock, ...names: readonly string[]) {
  const said: { readonly replica: string; readonly status: string; readonly message: OutgoingMessage }[] = [];
  const all = new Map<string, Presence>();
  const deliver = (message: OutgoingMessage) => {
    const { replica, status } = JSON.parse(message.payload) as { readonly replica: string; readonly status: string };
    said.push({ replica, status, message });
    for (const presence of all.values()) presence.hear(Buffer.from(message.payload));
  };
  for (const replica of names)
    all.set(
      replica,
      new Presence({
        ...{ agentId: 'a', replica, description: 'd', capabilities: ['c'], isSimulated: false, heartbeatMs: 1_000, clock },
        publish: async (message) => deliver(message),
        onHeartbeat: () => {},
      }),
    );
  const one = (name: string) => all.get(name) as Presence;
  /** As the broker does when a connection is lost. */
  const kill = (name: string) => {
    const presence = one(name);
    all.delete(name);
    presence.pause();
    deliver(presence.will());
  };
  return { said, one, kill };
}

describe('presence', () => {
  it('is retained with an expiry while there, and without when gone', async () => {
    const { said, one } = replicas(new FakeClock(), 'one');
    one('one').announce();
    await one('one').leave();
    one('one').announce();
    expect(said.map(({ status }) => status)).toEqual(['available', 'unavailable']);
    expect(said[0]?.message).toMatchObject({ topic: '/control/agents/a/status', qos: 1, isRetained: true, expirySeconds: 3_600 });
    expect(said[1]?.message).toMatchObject({ qos: 1, isRetained: true });
    expect(said[1]?.message).not.toHaveProperty('expirySeconds');
  });

  it('beats', async () => {
    const clock = new FakeClock();
    const { said, one } = replicas(clock, 'one');
    one('one').announce();
    await clock.advance(3_000);
    expect(said).toHaveLength(4);
    one('one').pause();
    await clock.advance(3_000);
    expect(said).toHaveLength(4);
  });

  it('becomes known to those who were there, and they to it, and then it is quiet', () => {
    const { said, one } = replicas(new FakeClock(), 'one', 'two', 'three');
    one('one').announce();
    expect(one('one').hasPeers()).toBe(false);
    one('two').announce();
    one('three').announce();
    for (const name of ['one', 'two', 'three']) expect(one(name).hasPeers()).toBe(true);
    expect(said.length).toBeLessThan(12);
  });

  it('is the last word where another replica was killed or left: whoever reads the topic finds the agent', async () => {
    const { said, one, kill } = replicas(new FakeClock(), 'one', 'two', 'three');
    for (const name of ['one', 'two', 'three']) one(name).announce();
    kill('two');
    expect(said.at(-1)).toMatchObject({ status: 'available' });
    await one('three').leave();
    expect(said.at(-1)).toMatchObject({ status: 'available', replica: 'one' });
    expect(one('one').hasPeers()).toBe(false);
  });

  it('forgets a peer that three heartbeats did not hear of', async () => {
    const clock = new FakeClock();
    const { one } = replicas(clock, 'one', 'two');
    one('one').announce();
    one('two').announce();
    one('two').pause();
    await clock.advance(3_001);
    expect(one('one').hasPeers()).toBe(false);
  });

  it('hears nothing in what is no status, or another agent’s', () => {
    const { said, one } = replicas(new FakeClock(), 'one');
    one('one').announce();
    for (const text of ['', '{}', '[1]', '{"agent_id":"b","status":"available","timestamp":"t","replica":"x"}'])
      one('one').hear(Buffer.from(text));
    expect(said).toHaveLength(1);
  });
});
