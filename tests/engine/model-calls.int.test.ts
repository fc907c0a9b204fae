import { defaultTenantId, modelCallSchema, modelCostSchema, type RunId, type TenantId } from '@hivekeeper/contract';
import { idMaker, newLog, systemClock, systemRandom } from '@hivekeeper/kernel';
import { afterAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../apps/control/src/adapters/postgres/index.ts';
import { CallLog, type ModelCallRecord, ModelGateway, parseModelsFile } from '../../apps/control/src/flow/models/index.ts';
import { ownDatabase } from './fixture.ts';

const log = newLog({ level: 'silent', component: 'test' });
const { database: fresh, sql } = await ownDatabase();
const database = await openDatabase({ url: fresh.url, maxConnections: 2, log });
afterAll(() => database[Symbol.asyncDispose]());
const store = database.modelCallStore;
const newId = idMaker(systemClock, systemRandom);
const runId = 'run_01JD0000000000000000000000' as RunId;
const stranger = 'ten_00000000000000000000000001' as TenantId;

const call = (more: Partial<ModelCallRecord> = {}): ModelCallRecord => ({
  ...{ id: newId('call'), tenantId: defaultTenantId, atMs: Date.now(), subject: 'admin', dialect: 'messages', asked: 'fast' },
  ...{ model: 'a', provider: 'one', isStream: false, isSimulated: false, isEstimated: false, costMicroUsd: 7, latencyMs: 3 },
  ...{ usage: { inputTokens: 10, cachedInputTokens: 4, outputTokens: 5 }, outcome: 'answered', tries: [{ model: 'a', latencyMs: 3 }] },
  ...more,
});

describe('calls of models', () => {
  it('go from the gateway into the database, and are shown as the contract says', async () => {
    const file = parseModelsFile(
      JSON.stringify({
        version: 1,
        providers: { pretend: { kind: 'simulated' } },
        models: { sim: { provider: 'pretend', name: 'echo', price: { inputMicroUsd: 1, outputMicroUsd: 1 }, mostOutputTokens: 10 } },
      }),
    );
    const calls = new CallLog({ store, clock: systemClock, log });
    const record = (each: ModelCallRecord) => calls.add(each);
    const gateway = new ModelGateway({ file, keys: new Map(), record, newCallId: () => newId('call'), clock: systemClock, log });
    const caller = { tenantId: defaultTenantId, subject: 'admin', runId, nodeId: 'review' };
    const signal = new AbortController().signal;
    const { callId } = await gateway.call({ dialect: 'messages', body: { model: 'sim', messages: [] }, headers: {}, caller, signal });
    await calls[Symbol.asyncDispose]();
    const [shown, ...others] = await store.list(defaultTenantId, { limit: 10, run: runId });
    expect(others).toEqual([]);
    expect(modelCallSchema.parse(shown)).toMatchObject({
      id: callId,
      nodeId: 'review',
      isSimulated: true,
      outcome: 'answered',
      costMicroUsd: 1,
    });
  });

  it('are stored once however often they are handed in, whatever a provider said', async () => {
    const odd = call({ outcome: 'failed', tries: [{ model: 'a', latencyMs: 1, failure: 'a\0b \ud800' }], costMicroUsd: undefined });
    await store.add([odd, call()]);
    await store.add([odd]);
    const shown = await store.list(defaultTenantId, { limit: 10, outcome: 'failed' });
    expect(shown.map(({ id, tries }) => [id, tries[0]?.failure])).toEqual([[odd.id, 'a\ufffdb \ufffd']]);
  });

  it('are added up by model, by run and by day, exactly beyond what 32 bits hold', async () => {
    await store.add([
      call({ model: 'dear', costMicroUsd: 5_000_000_000, runId }),
      call({ model: 'dear', costMicroUsd: 1, isEstimated: true }),
    ]);
    await store.add([
      call({ model: 'dear', tenantId: stranger, costMicroUsd: 100 }),
      call({ model: 'dear', atMs: Date.now() - 40 * 86_400_000 }),
    ]);
    const [dearest] = await store.costs(defaultTenantId, { by: 'model', days: 30 });
    expect(modelCostSchema.parse(dearest)).toEqual({
      ...{ key: 'dear', callCount: 2, inputTokens: 20, outputTokens: 10, costMicroUsd: 5_000_000_001, estimatedCount: 1, unpricedCount: 0 },
    });
    const byRun = await store.costs(defaultTenantId, { by: 'run', days: 30 });
    expect(byRun.find(({ key }) => key === runId)).toMatchObject({ callCount: 2, costMicroUsd: 5_000_000_001 });
    const [today] = await store.costs(defaultTenantId, { by: 'day', days: 1 });
    expect(today?.key).toMatch(/^\d{4}-\d\d-\d\d$/);
  });

  it('of one tenant are hidden from another', async () => {
    expect((await store.list(stranger, { limit: 10 })).map(({ costMicroUsd }) => costMicroUsd)).toEqual([100]);
  });

  it('are forgotten after 90 days', async () => {
    await store.add([call({ model: 'old', atMs: Date.now() - 91 * 86_400_000 })]);
    await database.forgetOld();
    expect(await sql`SELECT id FROM model_calls WHERE model = 'old'`).toHaveLength(0);
  });
});
