import { defaultTenantId, type TicketId } from '@hivekeeper/contract';
import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';
import { declaredSecret } from '../testing/memory-services.ts';

guardLeaks();

let door: Door;
beforeEach(async () => {
  door = await openDoor({ clock: new FakeClock(), random: seededRandom(1) });
  const rule = { failures: 1, windowMs: 1_000, coolDownMs: 500 };
  for (const name of ['reader', 'writer'])
    await door.services.agents.ensure({
      ...{ tenantId: defaultTenantId, entryPath: `/agents/${name}`, by: 'test' },
      given: { dependsOn: { api: rule }, ...(name === 'writer' && { breaker: rule }) },
    });
});
afterEach(() => door[Symbol.asyncDispose]());

async function blame(): Promise<void> {
  const { breakers } = door.services;
  const error = { code: 'DEPENDENCY_FAILED', message: `api: 401 with ${declaredSecret}`, dependency: 'api' };
  breakers.observe({ tenantId: defaultTenantId, agent: 'reader', ticketId: 'tkt_1' as TicketId, outcome: { ok: false, error } });
  await breakers.idle();
}
const put = (path: string, body: object) => door.call(`PUT /v1/breakers/${path}`, { body });

describe('breakers', () => {
  it('are listed with the agents that they stop, and what opened them without its secrets', async () => {
    await blame();
    const nowMs = door.services.clock.nowMs();
    expect((await door.call('GET /v1/breakers')).body).toEqual([
      { kind: 'agent', name: 'writer', agents: ['writer'], state: 'closed', failureCount: 0 },
      {
        ...{ kind: 'dependency', name: 'api', agents: ['reader', 'writer'], state: 'open', failureCount: 0 },
        ...{ sinceAtMs: nowMs, nextTrialAtMs: nowMs + 500, cause: 'DEPENDENCY_FAILED: api: 401 with [redacted]' },
      },
    ]);
    expect((await door.call('GET /metrics')).text).toContain('hive_dependency_down{dependency="api"} 1');
  });

  it('are closed and opened as people say, each as often as they say it', async () => {
    await blame();
    for (let time = 0; time < 2; time += 1)
      expect((await put('dependencies/api', { state: 'closed' })).body).toMatchObject({ state: 'closed' });
    const nextTrialAtMs = door.services.clock.nowMs() + 60_000;
    for (let time = 0; time < 2; time += 1)
      expect((await put('agents/writer', { state: 'open', forMs: 60_000 })).body).toMatchObject({ state: 'open', nextTrialAtMs });
  });

  it.each([
    ['agents/reader', { state: 'closed' }, 'NOT_FOUND'],
    ['dependencies/mail', { state: 'closed' }, 'NOT_FOUND'],
    ['dependencies/api', { state: 'half-open' }, 'INVALID_REQUEST'],
    ['dependencies/api', { state: 'open' }, 'INVALID_REQUEST'],
    ['dependencies/api', { state: 'open', forMs: 86_400_001 }, 'INVALID_REQUEST'],
  ])('%s with %o is refused', async (...[path, body, code]) => {
    expect((await put(path, body)).body).toMatchObject({ error: { code } });
  });
});
