import type { RunEvent } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { blockerOf, carriedFrom, runStatusOf, wakeAtOf } from './index.ts';
import { issued, node, type NodeInput, RunUnderTest } from './run-under-test.ts';

const runOf = (nodes: NodeInput[]) => new RunUnderTest({ name: 'w', nodes });
const once = { retry: { maxAttempts: 1 } };
const pause = (atMs = 2_000): RunEvent => ({ type: 'run.paused', atMs, by: 'ann', reason: 'look' });
const resume: RunEvent = { type: 'run.resumed', atMs: 3_000, by: 'ann' };

describe('a paused run', () => {
  it('lets what is at work go on, and holds every ticket that follows', () => {
    const run = runOf([node('a'), node('b', { needs: ['a'] })]).create();
    expect(run.send(pause())).toEqual([{ type: 'hold' }]);
    expect(blockerOf(run.state)).toEqual({ kind: 'paused', by: 'ann', sinceMs: 2_000, reason: 'look' });
    expect(run.succeed('a')).toMatchObject([{ type: 'issue', nodeId: 'b', isHeld: true }]);
    expect(run.send(resume)).toEqual([{ type: 'free' }]);
    expect(blockerOf(run.state)).toMatchObject({ kind: 'ticket', nodeId: 'b' });
  });

  it('is no news twice, and can be cancelled', () => {
    const run = runOf([node('a')]).create();
    expect(run.send(resume)).toEqual([]);
    run.send(pause());
    const before = run.state;
    run.send(pause(2_500));
    expect(run.state).toBe(before);
    run.cancel();
    expect([runStatusOf(run.state), blockerOf(run.state)]).toEqual(['CANCELLED', undefined]);
  });
});

it('a new priority moves what waits, and is that of every later ticket', () => {
  const run = runOf([node('a'), node('b', { needs: ['a'] })]).create();
  expect(run.send({ type: 'run.reprioritised', atMs: 2_000, by: 'ann', priority: 5 })).toEqual([{ type: 'rank', priority: 5 }]);
  expect(run.succeed('a')).toMatchObject([{ type: 'issue', priority: 5 }]);
});

describe('a queued run', () => {
  const queue = { key: 'deploy', limit: 1 };

  it('begins when it is admitted, and not before', () => {
    const run = runOf([node('a')]).create({ queue, deadlineAtMs: 9_000 });
    expect([run.commands, runStatusOf(run.state), wakeAtOf(run.state)]).toEqual([[], 'PENDING', 9_000]);
    expect(blockerOf(run.state)).toEqual({ kind: 'concurrency', ...queue });
    expect(issued(run.send({ type: 'run.admitted', atMs: 2_000 }))).toEqual(['a']);
    expect(run.send({ type: 'run.admitted', atMs: 2_500 })).toEqual([]);
  });

  it('can be cancelled, times out, and keeps the signals that come', () => {
    const cancelled = runOf([node('a')]).create({ queue });
    cancelled.cancel();
    expect(runStatusOf(cancelled.state)).toBe('CANCELLED');
    const late = runOf([node('a')]).create({ queue, deadlineAtMs: 9_000 });
    late.wake(9_000);
    expect(runStatusOf(late.state)).toBe('TIMED_OUT');
    const told = runOf([{ id: 'w', wait: { signal: 's' } }]).create({ queue });
    told.signal('s', { payload: 1 });
    told.send({ type: 'run.admitted', atMs: 2_000 });
    expect(told.node('w').output).toBe(1);
  });
});

describe('a queued run that an earlier one has begun', () => {
  const queue = { key: 'deploy', limit: 1 };
  const undo = { agent: 'undoer', input: {} };

  it('keeps what is carried over when it is cancelled before its turn, so that the next one need not do it again', () => {
    const run = runOf([node('a'), node('b', { needs: ['a'] })]).create({ queue, carried: [{ nodeId: 'a', status: 'SUCCESS', output: 1 }] });
    run.cancel();
    expect(run.statuses()).toEqual({ a: 'SUCCESS', b: 'CANCELLED' });
    expect(carriedFrom(run.state, run.rules.plan)).toEqual([{ nodeId: 'a', status: 'SUCCESS', output: 1 }]);
  });

  it('undoes and does nothing else when it is admitted, asking first where it must', () => {
    const run = runOf([node('a', { compensate: undo }), node('b', { compensate: undo }), node('c')]).create({
      queue,
      gatedNodeIds: ['a'],
      compensation: [
        { nodeId: 'b', agent: 'undoer', input: { of: 2 } },
        { nodeId: 'a', agent: 'undoer', input: { of: 1 } },
      ],
    });
    expect(run.commands).toEqual([]);
    expect(run.send({ type: 'run.admitted', atMs: 2_000 })).toMatchObject([
      { type: 'issue', nodeId: 'b', agent: 'undoer', input: { of: 2 } },
    ]);
    expect(run.succeed('b')).toMatchObject([{ type: 'request-approval', nodeId: 'a', input: { of: 1 } }]);
    run.answer('a', true);
    run.succeed('a');
    expect([run.statuses(), runStatusOf(run.state)]).toEqual([{ a: 'SUCCESS', b: 'SUCCESS', c: 'SKIPPED' }, 'SUCCESS']);
  });
});

describe('a run that goes on from another one', () => {
  const nodes = () => [
    node('a', once),
    node('b', { needs: ['a'], ...once }),
    node('soft', { ...once, onFailure: 'continue' }),
    node('c', { needs: ['b', 'soft'], input: { of: '{{ b.output }}', soft: '{{ soft.status }}' }, ...once }),
    node('never', { when: 'false' }),
  ];
  const failedAtC = () => {
    const run = new RunUnderTest({ name: 'w', nodes: nodes() }, () => false).create();
    run.succeed('a', 1);
    run.succeed('b', 2);
    run.fail('soft');
    run.fail('c');
    return run;
  };

  it('does again what failed the run, and nothing else', () => {
    const run = failedAtC();
    const carried = carriedFrom(run.state, run.rules.plan);
    expect(carried.map(({ nodeId, status }) => `${nodeId} ${status}`)).toEqual(['a SUCCESS', 'b SUCCESS', 'soft FAILED', 'never SKIPPED']);
    const next = new RunUnderTest({ name: 'w', nodes: nodes() }).create({ carried });
    expect(next.commands).toMatchObject([{ type: 'issue', nodeId: 'c', input: { of: 2, soft: 'FAILED' } }]);
    expect(next.node('a')).toMatchObject({ status: 'SUCCESS', output: 1, isCarried: true, attempts: [] });
    next.succeed('c');
    expect(runStatusOf(next.state)).toBe('SUCCESS');
  });

  it('does again a node that is named, and all that depends on it', () => {
    const run = failedAtC();
    expect(carriedFrom(run.state, run.rules.plan, 'b').map(({ nodeId }) => nodeId)).toEqual(['a', 'soft', 'never']);
    expect(carriedFrom(run.state, run.rules.plan, 'a').map(({ nodeId }) => nodeId)).toEqual(['soft', 'never']);
  });

  it('carries nothing of a node that was cancelled in mid-work', () => {
    const run = runOf([node('a'), node('b')]).create();
    run.succeed('a', 1);
    run.cancel();
    expect(carriedFrom(run.state, run.rules.plan)).toEqual([{ nodeId: 'a', status: 'SUCCESS', output: 1 }]);
  });
});

describe('undoing', () => {
  const undo = (id: string) => ({ agent: 'undoer', action: `undo-${id}`, input: { of: `{{ ${id}.output }}` } });
  const nodes = () => [
    node('a', { compensate: undo('a'), ...once }),
    node('b', { needs: ['a'], compensate: undo('b'), ...once }),
    node('c', { needs: ['b'], ...once }),
  ];

  it('is due at the end of a run that did not go well, the last deed first', () => {
    const run = runOf(nodes()).create();
    run.succeed('a', 1);
    run.succeed('b', 2);
    run.fail('c');
    expect(run.state.phase).toMatchObject({
      kind: 'ended',
      status: 'FAILED',
      toUndo: [
        { nodeId: 'b', agent: 'undoer', action: 'undo-b', input: { of: 2 } },
        { nodeId: 'a', agent: 'undoer', action: 'undo-a', input: { of: 1 } },
      ],
    });
    expect(wakeAtOf(run.state)).toBe(1_000);
    run.send({ type: 'run.compensated', atMs: 2_000, byRunId: 'run_01JD0000000000000000000001' as never });
    expect(wakeAtOf(run.state)).toBeUndefined();
    expect(runStatusOf(run.state)).toBe('FAILED');
  });

  it('is not due where nothing was done, or all went well, or another run did it', () => {
    const cancelled = runOf(nodes()).create();
    cancelled.cancel();
    const good = runOf([node('a', { compensate: undo('a') })]).create();
    good.succeed('a', 1);
    const carried = runOf(nodes()).create({ carried: [{ nodeId: 'a', status: 'SUCCESS', output: 1 }] });
    carried.cancel();
    for (const { state } of [cancelled, good, carried]) expect(wakeAtOf(state)).toBeUndefined();
  });

  it('does one after the other, goes on after a failure, and then is FAILED', () => {
    const run = runOf(nodes()).create({
      compensation: [
        { nodeId: 'b', agent: 'undoer', action: 'undo-b', input: { of: 2 } },
        { nodeId: 'a', agent: 'undoer', input: { of: 1 } },
      ],
    });
    expect(run.commands).toMatchObject([{ type: 'issue', nodeId: 'b', agent: 'undoer', action: 'undo-b', input: { of: 2 } }]);
    expect(run.fail('b').filter(({ type }) => type === 'issue')).toMatchObject([{ nodeId: 'a', agent: 'undoer', input: { of: 1 } }]);
    run.succeed('a');
    expect(run.statuses()).toEqual({ a: 'SUCCESS', b: 'FAILED', c: 'SKIPPED' });
    expect([runStatusOf(run.state), wakeAtOf(run.state)]).toEqual(['FAILED', undefined]);
  });

  it('keeps the evidence of what could not be undone, also where the node itself may fail', () => {
    const run = runOf([node('a', { compensate: undo('a'), onFailure: 'continue', ...once })]).create({
      compensation: [{ nodeId: 'a', agent: 'undoer', action: 'undo-a', input: { of: 1 } }],
    });
    const ticketId = run.ticketOf('a');
    expect(run.fail('a')).toMatchObject([{ type: 'bury', ticketId, agent: 'undoer', action: 'undo-a', input: { of: 1 } }]);
    expect(runStatusOf(run.state)).toBe('FAILED');
  });

  it.each(['approve', 'skip'] as const)(
    'is not done unasked: what the node says of an expired approval (%s) is about its own',
    (onExpiry) => {
      const rule = { message: 'Deploy?', expiresAfterMs: 1_000, onExpiry };
      const run = runOf([node('a', { compensate: undo('a'), approval: rule })]).create({
        gatedNodeIds: ['a'],
        compensation: [{ nodeId: 'a', agent: 'undoer', input: { of: 1 } }],
      });
      expect(run.commands).toMatchObject([{ type: 'request-approval', agent: 'undoer', message: undefined, expiresAtMs: 86_401_000 }]);
      expect(issued(run.wake(86_401_000))).toEqual([]);
      expect(run.node('a')).toMatchObject({ status: 'FAILED', error: { code: 'APPROVAL_EXPIRED' } });
    },
  );

  it('asks first where the agent that undoes needs approval, and says where an input could not be resolved', () => {
    const run = runOf(nodes()).create({
      gatedNodeIds: ['b'],
      compensation: [
        { nodeId: 'b', agent: 'undoer', input: { of: 2 } },
        { nodeId: 'a', agent: 'undoer', error: { code: 'TEMPLATE_UNRESOLVED', message: 'a has no "x"' } },
      ],
    });
    expect(run.commands).toMatchObject([{ type: 'request-approval', agent: 'undoer', input: { of: 2 } }]);
    run.answer('b', true);
    run.succeed('b');
    expect(run.node('a')).toMatchObject({ status: 'FAILED', error: { code: 'TEMPLATE_UNRESOLVED', message: 'a has no "x"' } });
    expect(runStatusOf(run.state)).toBe('FAILED');
  });
});

describe('an approval that nobody decides', () => {
  const expired = (onExpiry: 'fail' | 'skip' | 'approve') => {
    const run = runOf([node('a', { approval: { expiresAfterMs: 1_000, onExpiry } }), node('b', { needs: ['a'] })]).create();
    const commands = run.wake(2_000);
    return { statuses: run.statuses(), issued: issued(commands) };
  };

  it('means what the workflow says', () => {
    expect(expired('fail')).toEqual({ statuses: { a: 'FAILED', b: 'SKIPPED' }, issued: [] });
    expect(expired('skip')).toEqual({ statuses: { a: 'SKIPPED', b: 'SKIPPED' }, issued: [] });
    expect(expired('approve')).toEqual({ statuses: { a: 'RUNNING', b: 'PENDING' }, issued: ['a'] });
  });
});
