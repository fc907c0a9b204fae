import type { WorkflowInput } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { createExpressions } from '../expressions.ts';
import { pauseMsOf } from './backoff.ts';
import { blockerOf, errorOf, runStatusOf, wakeAtOf } from './index.ts';
import { issued, node, type NodeInput, RunUnderTest } from './run-under-test.ts';

const { evaluate } = createExpressions();
const runOf = (nodes: NodeInput[], more: Partial<WorkflowInput> = {}) => new RunUnderTest({ name: 'test', nodes, ...more }, evaluate);
const noJitter = { backoffMs: 1_000, factor: 2, jitterRatio: 0 };

describe('retries and losses', () => {
  it('repeats a failed attempt after a growing pause, as often as maxAttempts says', () => {
    const run = runOf([node('a', { retry: { maxAttempts: 3, ...noJitter } })]).create();
    expect(run.fail('a')).toEqual([]);
    expect(blockerOf(run.state)).toEqual({
      kind: 'retry',
      nodeId: 'a',
      dueAtMs: 2_000,
      lastError: { code: 'AGENT_FAILED', message: 'exit 1', nodeId: 'a' },
    });
    expect(run.wake(1_999)).toEqual([]);
    expect(run.wake(2_000)).toMatchObject([{ type: 'issue', nodeId: 'a', attempt: 2, readyAtMs: 2_000 }]);
    run.fail('a');
    expect(wakeAtOf(run.state)).toBe(4_000);
    expect(run.wake(4_000)).toMatchObject([{ attempt: 3 }]);
    run.fail('a', { code: 'AGENT_FAILED', message: 'the last one' });
    expect(errorOf(run.state)).toEqual({ code: 'AGENT_FAILED', message: 'the last one', nodeId: 'a' });
    expect(run.notices.flatMap((notice) => (notice.type === 'attempt.failed' ? [[notice.attempt, notice.retryAtMs]] : []))).toEqual([
      [1, 2_000],
      [2, 4_000],
      [3, undefined],
    ]);
  });

  it('repeats at once without a pause', () => {
    const run = runOf([node('a', { retry: { maxAttempts: 2, backoffMs: 0 } })]).create();
    expect(run.fail('a')).toMatchObject([{ type: 'issue', attempt: 2 }]);
  });

  it.each([
    ['AGENT_FAILED', true],
    ['NODE_TIMED_OUT', true],
    ['SANDBOX_UNAVAILABLE', true],
    ['SOMETHING_OF_THE_AGENTS_OWN', true],
    ['toString', true],
    ['AGENT_INPUT_SCHEMA', false],
    ['AGENT_OUTPUT_TOO_LARGE', false],
    ['PATH_NOT_ALLOWED', false],
  ])('asks the catalogue whether %s may be repeated: %s', (code, isRepeated) => {
    const run = runOf([node('a', { retry: { maxAttempts: 2, backoffMs: 0 } })]).create();
    expect(issued(run.fail('a', { code, message: '' }))).toEqual(isRepeated ? ['a'] : []);
  });

  it('ends TIMED_OUT where the last attempt timed out, and the run FAILED', () => {
    const run = runOf([node('a')]).create();
    run.fail('a', { code: 'NODE_TIMED_OUT', message: '5 s' });
    expect(run.statuses()).toEqual({ a: 'TIMED_OUT' });
    expect(run.node('a').attempts).toMatchObject([{ status: 'TIMED_OUT' }]);
    expect(runStatusOf(run.state)).toBe('FAILED');
  });

  it('issues a lost ticket again at once, without counting it as a failure', () => {
    const run = runOf([node('a', { retry: { maxAttempts: 2, backoffMs: 0 } })]).create();
    for (let attempt = 2; attempt <= 5; attempt += 1) expect(run.lose('a')).toMatchObject([{ type: 'issue', attempt }]);
    expect(run.fail('a')).toMatchObject([{ type: 'issue', attempt: 6 }]);
    expect(run.node('a').attempts.map((attempt) => attempt.status)).toEqual(['LOST', 'LOST', 'LOST', 'LOST', 'FAILED', 'PENDING']);
  });

  it('gives up with LEASE_LOST_TOO_OFTEN at the fifth loss of a slot, each slot for itself', () => {
    const run = runOf([node('m', { map: '{{ context.list }}' })]).create({ context: { list: [1, 2] } });
    for (const slot of [0, 1, 0, 1, 0, 1, 0, 1]) expect(issued(run.lose('m', slot))).toEqual(['m']);
    const last = run.ticketOf('m', 0);
    expect(run.lose('m', 0)).toMatchObject([
      { type: 'bury', ticketId: last, nodeId: 'm', slot: 0, attempt: 5, agent: 'worker' },
      { type: 'revoke', ticketId: run.ticketOf('m', 1) },
    ]);
    expect(errorOf(run.state)).toEqual({ code: 'LEASE_LOST_TOO_OFTEN', message: 'the lease was lost 5 times', nodeId: 'm' });
  });

  it('keeps who worked, when and for how long', () => {
    const run = runOf([node('a', { input: { n: 1 } })]).create();
    const ticketId = run.ticketOf('a');
    run.send({
      type: 'ticket.settled',
      atMs: 1_500,
      ticketId,
      leasedAtMs: 1_100,
      workerId: 'wrk_1' as never,
      outcome: { ok: true, output: 5 },
    });
    expect(run.node('a').attempts).toEqual([
      {
        ticketId,
        nodeId: 'a',
        slot: 0,
        attempt: 1,
        input: { n: 1 },
        output: 5,
        issuedAtMs: 1_000,
        status: 'SUCCESS',
        leasedAtMs: 1_100,
        finishedAtMs: 1_500,
        durationMs: 400,
        workerId: 'wrk_1',
      },
    ]);
  });

  it('spreads the pause by the ticket’s id, within the ratio, and caps it at a day', () => {
    const policy = { maxAttempts: 100, backoffMs: 1_000, factor: 10, jitterRatio: 0.5 };
    const pauses = Array.from({ length: 1_000 }, (_, ordinal) =>
      pauseMsOf(policy, 1, `tkt_01JD0000000000000000000000.${ordinal}` as never),
    );
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(500);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(1_500);
    expect(new Set(pauses.map((pause) => Math.floor(pause / 100))).size).toBeGreaterThanOrEqual(10);
    expect(pauseMsOf(policy, 1, run0)).toBe(pauseMsOf(policy, 1, run0));
    expect(pauseMsOf({ ...policy, jitterRatio: 0 }, 99, run0)).toBe(86_400_000);
  });
  const run0 = 'tkt_01JD0000000000000000000000.0' as never;
});
