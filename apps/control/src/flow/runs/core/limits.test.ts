import { describe, expect, it } from 'vitest';
import { errorOf, runStatusOf } from './index.ts';
import { maxTicketsPerRun } from './ledger.ts';
import { node, type NodeInput, RunUnderTest } from './run-under-test.ts';

// A run that has had so many tickets: those that are not its first have ended.
function runAfter(ticketCount: number, nodes: NodeInput[]): RunUnderTest {
  const run = new RunUnderTest({ name: 'w', nodes }).create({ context: { list: [1, 2, 3] } });
  const [first] = run.state.tickets;
  if (first === undefined) return run;
  const ended = { ...first, end: { status: 'CANCELLED', finishedAtMs: 1_000 } } as const;
  const more = new Array(ticketCount - run.state.tickets.length).fill(ended);
  run.state = { ...run.state, tickets: [...run.state.tickets, ...more] };
  return run;
}

const once = { retry: { maxAttempts: 1 } };
const tooLarge = { code: 'RUN_TOO_LARGE', nodeId: 'a' };

describe('a run that has had a million tickets', () => {
  it('fails instead of starting one more node', () => {
    const run = runAfter(maxTicketsPerRun - 2, [node('z', once), node('a', { needs: ['z'], map: '{{ context.list }}' })]);
    expect(run.succeed('z')).toEqual([]);
    expect(errorOf(run.state)).toMatchObject(tooLarge);
  });

  it('fails where an approval would start one more node', () => {
    const run = runAfter(maxTicketsPerRun, [node('z', once), node('a', { approval: true })]);
    expect(run.answer('a', true)).toEqual([]);
    expect(run.node('a').error).toMatchObject(tooLarge);
  });

  it('fails instead of waking an agent that waited', () => {
    const run = runAfter(maxTicketsPerRun, [node('a', once)]);
    run.suspend('a', { kind: 'timer', step: 's', forMs: 5 });
    expect(run.wake(1_005)).toEqual([]);
    expect(errorOf(run.state)).toMatchObject(tooLarge);
  });

  it('ends agents that call themselves for ever', () => {
    const run = runAfter(maxTicketsPerRun - 1, [node('a', once)]);
    const call = { kind: 'agent', step: 's', agent: 'self', input: {} } as const;
    run.suspend('a', call);
    run.suspend('a', call, 1);
    expect(errorOf(run.state)).toMatchObject(tooLarge);
    expect([runStatusOf(run.state), run.state.liveTicketCount]).toEqual(['FAILED', 0]);
  });

  it('fails instead of repeating an attempt that failed, was lost, or comes after a pause', () => {
    const retry = { maxAttempts: 2, backoffMs: 0 };
    const failed = runAfter(maxTicketsPerRun, [node('a', { retry })]);
    expect(failed.fail('a')).toEqual([]);
    const lost = runAfter(maxTicketsPerRun, [node('a', { retry })]);
    expect(lost.lose('a')).toEqual([]);
    const paused = runAfter(maxTicketsPerRun, [node('a', { retry: { ...retry, backoffMs: 10 } })]);
    paused.fail('a');
    expect(paused.wake(2_000)).toEqual([]);
    for (const run of [failed, lost, paused]) expect(errorOf(run.state)).toMatchObject(tooLarge);
  });
});
