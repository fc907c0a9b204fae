import { describe, expect, it } from 'vitest';
import { Roster } from './roster.ts';

const topic = (id: string) => `/control/agents/${id}/status`;
const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

/** A roster to which replicas say things. */
function heard() {
  const roster = new Roster();
  const say = (id: string, status: 'available' | 'unavailable', more: Readonly<Record<string, unknown>> = {}) =>
    roster.hear(topic(id), bytes({ agent_id: id, status, timestamp: 't', ...more }), 1);
  return { roster, say };
}

describe('the roster', () => {
  it('counts replicas: an agent is gone when the last of them is', () => {
    const { roster, say } = heard();
    say('a', 'available', { replica: 'one', capabilities: ['write'], description: 'd' });
    say('a', 'available', { replica: 'two', capabilities: ['write'], description: 'd' });
    say('a', 'unavailable', { replica: 'one' });
    expect(roster.view('a')).toMatchObject({ state: 'available', replicaCount: 1 });
    say('a', 'unavailable', { replica: 'two' });
    expect(roster.available()).toEqual([]);
    expect(roster.view('a')).toMatchObject({
      name: 'mqtt/a',
      state: 'unavailable',
      replicaCount: 0,
      capabilities: ['write'],
      description: 'd',
    });
  });

  it('knows agents whose program names no replica', () => {
    const { roster, say } = heard();
    say('b', 'available');
    say('a', 'available', { simulated: true });
    expect(roster.available()).toEqual(['mqtt/a', 'mqtt/b']);
    expect(roster.views().map(({ isSimulated }) => isSimulated)).toEqual([true, false]);
    say('b', 'unavailable');
    expect(roster.available()).toEqual(['mqtt/a']);
  });

  it('forgets after an outage who did not say again that it is there', () => {
    const { roster, say } = heard();
    say('stays', 'available', { replica: 'one' });
    say('stays', 'available', { replica: 'two' });
    say('goes', 'available', { replica: 'one' });
    roster.beginEra();
    expect(roster.available()).toEqual(['mqtt/goes', 'mqtt/stays']);
    say('stays', 'available', { replica: 'one' });
    roster.forgetOlderEras();
    expect(roster.available()).toEqual(['mqtt/stays']);
    expect(roster.view('stays')?.replicaCount).toBe(1);
  });

  it('forgets an agent whose status was taken back', () => {
    const { roster, say } = heard();
    say('a', 'available');
    roster.hear(topic('a'), bytes(''), 1);
    expect(roster.views()).toEqual([]);
  });

  it.each([
    'not json',
    '[]',
    '{}',
    '{"agent_id":"a b","status":"available","timestamp":"t"}',
    '{"agent_id":"other","status":"available","timestamp":"t"}',
  ])('hears nothing in %s', (text) => {
    const { roster } = heard();
    roster.hear(topic('a'), bytes(text), 1);
    expect(roster.views()).toEqual([]);
  });

  it('has room for 10,000 agents, and keeps those it knows', () => {
    const { roster, say } = heard();
    for (let number = 0; number <= 10_000; number += 1) say(`a${number}`, 'available');
    expect(roster.views()).toHaveLength(10_000);
    say('a1', 'unavailable');
    expect(roster.view('a1')?.state).toBe('unavailable');
  });
});
