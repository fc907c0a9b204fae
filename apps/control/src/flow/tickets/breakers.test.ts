import { type AgentSpec, agentManifestSchema, breakerRuleSchema, defaultTenantId, type Outcome, type TicketId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock } from '@hivekeeper/testkit';
import { beforeEach, expect, it } from 'vitest';
import { type Breaker, newBreaker } from './breaker.ts';
import { Breakers } from './breakers.ts';
import { breakerKey } from './throttle.ts';

const specOf = (name: string, more: Partial<AgentSpec>): AgentSpec => ({
  ...agentManifestSchema.parse({ name, version: '1.0.0' }),
  trust: 'trusted',
  ...more,
});
const quick = breakerRuleSchema.parse({ failures: 2, windowMs: 10_000, coolDownMs: 5_000 });
const specs = new Map([
  ['frail', specOf('frail', { breaker: quick })],
  ['plain', specOf('plain', {})],
  ['left', specOf('left', { dependsOn: { api: quick } })],
  ['right', specOf('right', { dependsOn: { api: quick } })],
]);
const registered = [...specs].map(([name, spec]) => ({ name, spec }));
const bad: Outcome = { ok: false, error: { code: 'AGENT_FAILED', message: 'no' } };
const good: Outcome = { ok: true, output: null };

let clock: FakeClock;
let stored: Map<string, Breaker>;
let changed: string[];
let fault: Error | undefined;
let logged: string[];
let breakers: Breakers;

beforeEach(() => {
  clock = new FakeClock(0);
  [stored, changed, logged, fault] = [new Map(), [], [], undefined];
  breakers = new Breakers({
    store: {
      throttledBy: async () => undefined,
      breakers: async () => ({ nowMs: clock.nowMs(), byKey: stored }),
      changeBreaker: async ({ subject }, change) => {
        if (fault !== undefined) throw fault;
        const before = stored.get(breakerKey(subject)) ?? newBreaker;
        const next = change(before, clock.nowMs());
        stored.set(breakerKey(subject), next);
        return next.state !== before.state;
      },
    },
    findAgent: (_tenantId, name) => specs.get(name),
    log: newLog({ level: 'info', component: 'test', destination: { write: (line) => void logged.push(line) } }),
    changed: (fullKey) => changed.push(fullKey),
  });
});

async function observe(agent: string, outcome: Outcome, ticket = 'tkt_1'): Promise<void> {
  breakers.observe({ tenantId: defaultTenantId, agent, ticketId: ticket as TicketId, outcome });
  await breakers.idle();
}
const list = () => breakers.list(defaultTenantId, registered);
const view = async (wanted = 'frail') => (await list()).find(({ name }) => name === wanted);
/** What a lease does once the cool-down is over. */
const lease = (ticket: string) =>
  stored.set('breaker:frail', { state: 'half-open', sinceAtMs: clock.nowMs(), trialId: ticket as TicketId });

it('opens, tries, opens again, tries, and closes, as time passes', async () => {
  await observe('frail', bad);
  await clock.advance(1_000);
  await observe('frail', bad);
  expect(await view()).toEqual({
    ...{ kind: 'agent', name: 'frail', agents: ['frail'] },
    ...{ state: 'open', sinceAtMs: 1_000, failureCount: 0, nextTrialAtMs: 6_000, cause: 'AGENT_FAILED: no' },
  });
  await clock.advance(5_000);
  lease('tkt_7');
  await observe('frail', bad, 'tkt_7');
  expect(await view()).toMatchObject({ state: 'open', nextTrialAtMs: 11_000 });
  await clock.advance(5_000);
  lease('tkt_8');
  await observe('frail', good, 'tkt_8');
  expect(await view()).toMatchObject({ state: 'closed', sinceAtMs: 11_000, failureCount: 0 });
  expect(changed).toEqual([1, 2, 3].map(() => `${defaultTenantId} breaker:frail`));
});

it('lists a breaker for each agent that has one and for what they depend on, and no other', async () => {
  expect((await list()).map(({ kind, name, agents }) => [kind, name, agents])).toEqual([
    ['agent', 'frail', ['frail']],
    ['dependency', 'api', ['left', 'right']],
  ]);
});

it('counts what agents blame on the same dependency together', async () => {
  const down: Outcome = { ok: false, error: { code: 'DEPENDENCY_FAILED', message: 'api: 502', dependency: 'api' } };
  await observe('left', down);
  await observe('right', down);
  expect(await view('api')).toMatchObject({ state: 'open', cause: 'DEPENDENCY_FAILED: api: 502' });
  expect(changed).toEqual([`${defaultTenantId} dependency:api`]);
});

it('takes orders about breakers that agents have, and tells who waits for them', async () => {
  const order = (name: string, state: 'open' | 'closed') =>
    breakers.set(
      { tenantId: defaultTenantId, subject: { kind: 'dependency', name }, by: 'key:ann' },
      state === 'open' ? { state, forMs: 60_000, reason: 'moving' } : { state },
      registered,
    );
  expect(await order('api', 'open')).toMatchObject({ name: 'api', state: 'open', cause: 'opened by key:ann: moving' });
  expect(await order('api', 'closed')).toMatchObject({ state: 'closed' });
  expect(changed).toHaveLength(2);
  await expect(order('frail', 'open')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it('takes no notice of agents without breaker, and of failures that are not the agent’s', async () => {
  for (const agent of ['plain', 'unknown']) await observe(agent, bad);
  await observe('frail', { ok: false, error: { code: 'AGENT_INPUT_SCHEMA', message: 'no' } });
  expect(stored.size).toBe(0);
});

it('says in the log what it could not note, and goes on', async () => {
  fault = new TypeError('no database');
  await observe('frail', bad);
  expect(logged.join()).toContain('could not be noted');
  fault = undefined;
  await observe('frail', bad);
  expect(await view()).toMatchObject({ failureCount: 1 });
});
