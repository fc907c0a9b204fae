import { describe, expect, it } from 'vitest';
import { controlPlane, hive } from './testing.ts';

const runId = 'run_01JD0000000000000000000000';
const run = {
  ...{ id: runId, workflowName: 'nightly', workflowVersion: 3, status: 'RUNNING', trigger: 'api', createdAtMs: 0, context: {}, nodes: [] },
  effects: { confirmed: 2, unknown: 1 },
};

describe('effects', () => {
  const effect = {
    id: 'eff_1',
    runId,
    nodeId: 'pay',
    slot: 0,
    step: 'bank.pay',
    tool: 'bank.pay',
    args: { to: 'ann', cents: 5 },
    state: 'unknown',
    reason: 'Error: the bank does not answer',
    hasProbe: false,
    dispatchCount: 1,
    begunAtMs: Date.parse('2026-01-02T03:00:00Z'),
    dispatchedAtMs: Date.parse('2026-01-02T03:00:01Z'),
    workerId: 'wrk_1',
  };
  const confirmed = { ...effect, id: 'eff_2', slot: 3, state: 'confirmed', reason: undefined, outcome: { ok: true, output: 'receipt' } };

  it('of a run are listed, and what to look at next', async () => {
    await using control = await controlPlane({ 'GET /v1/effects': { body: [effect, confirmed] } });
    const { screen } = await hive(['effects', runId, '--state', 'unknown', '--url', control.url]);
    expect(control.seen[0]?.url).toBe(`/v1/effects?run=${runId}&state=unknown&limit=50`);
    expect(screen).toBe(`EFFECT  NODE    TOOL      STATE      BEGUN      WITH                    GAVE
eff_1   pay     bank.pay  unknown    4 min ago  {"to":"ann","cents":5}  Error: the bank does not answer
eff_2   pay[3]  bank.pay  confirmed  4 min ago  {"to":"ann","cents":5}  "receipt"

Next: hive effects show eff_1
`);
  });

  it('of all runs are listed where none is named', async () => {
    await using control = await controlPlane({ 'GET /v1/effects': { body: [] } });
    expect((await hive(['effects', '--url', control.url])).stdout).toBe('No effects.\n');
    expect((await hive(['effects', runId, '--url', control.url])).stdout).toContain('did nothing to the world outside');
    expect(control.seen.map(({ url }) => url)).toEqual(['/v1/effects?limit=50', `/v1/effects?run=${runId}&limit=50`]);
  });

  it('are shown whole, with how to resolve one that is unknown', async () => {
    await using control = await controlPlane({ 'GET /v1/effects/eff_1': { body: effect } });
    expect((await hive(['effects', 'show', 'eff_1', '--url', control.url])).screen).toBe(`eff_1  unknown
run      ${runId}
node     pay, slot 0, step bank.pay
tool     bank.pay
with     {"to":"ann","cents":5}
begun    2026-01-02T03:00:00.000Z
told     2026-01-02T03:00:01.000Z to wrk_1 (once)
because  Error: the bank does not answer

Next: hive effects resolve eff_1 --happened, or --not-happened
`);
  });

  it('are resolved by what a person saw', async () => {
    await using control = await controlPlane({ 'POST /v1/effects/eff_1/resolve': { body: confirmed } });
    const resolve = (...options: string[]) => hive(['effects', 'resolve', 'eff_1', ...options, '--url', control.url]);
    const { stdout } = await resolve('--happened', '--output', '{"receipt":7}', '--note', 'on the statement');
    expect(stdout).toContain('eff_2 (bank.pay) happened. A run that waits for it goes on.');
    await resolve('--not-happened');
    expect(control.seen.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { happened: true, output: { receipt: 7 }, notes: 'on the statement' },
      { happened: false },
    ]);
  });

  it.each([
    [[], 'say --happened or --not-happened'],
    [['--happened', '--not-happened'], 'say --happened or --not-happened'],
    [['--not-happened', '--output', '1'], '--output is what an effect gave that happened'],
    [['--happened', '--output', 'receipt'], 'is not JSON; text needs quotes'],
  ])('are not resolved by %j', async (options, message) => {
    const { exitCode, stderr } = await hive(['effects', 'resolve', 'eff_1', ...options]);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)]);
  });

  it('are counted where a run is shown', async () => {
    await using control = await controlPlane({ [`GET /v1/runs/${runId}`]: { body: run } });
    expect((await hive(['run', 'show', runId, '--url', control.url])).stdout).toContain(
      `effects   2 confirmed, 1 unknown: hive effects ${runId}\n`,
    );
  });
});
