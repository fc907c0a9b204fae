import type { JsonValue, WorkflowInput } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { createExpressions } from '../expressions.ts';
import { blockerOf, decide, errorOf, fold, initialState, runStatusOf, wakeAtOf } from './index.ts';
import { issued, node, type NodeInput, RunUnderTest, testRunId } from './run-under-test.ts';

const { evaluate } = createExpressions();
const runOf = (nodes: NodeInput[], more: Partial<WorkflowInput> = {}) => new RunUnderTest({ name: 'test', nodes, ...more }, evaluate);
const noJitter = { backoffMs: 1_000, factor: 2, jitterRatio: 0 };

describe('the beginning of a run', () => {
  it('stays PENDING and ignores everything until it is created', () => {
    const run = runOf([node('a')]);
    const before = run.state;
    run.cancel();
    run.wake(9_999);
    expect(run.state).toBe(before);
    expect(runStatusOf(run.state)).toBe('PENDING');
    expect([blockerOf(run.state), wakeAtOf(run.state), errorOf(run.state)]).toEqual([undefined, undefined, undefined]);
  });

  it('issues a ticket for every node without needs, with everything a worker is told', () => {
    const run = runOf([node('a', { action: 'scan', input: { n: 1 }, timeoutMs: 5_000 }), node('b', { needs: ['a'] }), node('c')], {
      priority: 7,
    }).create();
    expect(run.commands).toEqual([
      {
        type: 'issue',
        ticketId: 'tkt_01JD0000000000000000000000.0',
        nodeId: 'a',
        slot: 0,
        attempt: 1,
        agent: 'worker',
        action: 'scan',
        input: { n: 1 },
        memo: [],
        timeoutMs: 5_000,
        priority: 7,
        readyAtMs: 1_000,
        isHeld: false,
      },
      {
        type: 'issue',
        ticketId: 'tkt_01JD0000000000000000000000.1',
        nodeId: 'c',
        slot: 0,
        attempt: 1,
        agent: 'worker',
        action: undefined,
        input: {},
        memo: [],
        timeoutMs: 300_000,
        priority: 7,
        readyAtMs: 1_000,
        isHeld: false,
      },
    ]);
    expect(run.notices.map((notice) => notice.type)).toEqual([
      'run.started',
      'node.started',
      'ticket.issued',
      'node.started',
      'ticket.issued',
    ]);
    expect(runStatusOf(run.state)).toBe('RUNNING');
  });

  it('happens once', () => {
    const run = runOf([node('a')]).create();
    const before = run.state;
    run.create();
    expect(run.state).toBe(before);
  });
});

describe('what follows what', () => {
  it('starts a node when the last of its needs succeeded, and ends SUCCESS with the last node', () => {
    const run = runOf([node('a'), node('b'), node('c', { needs: ['a', 'b', 'a'] })]).create();
    expect(issued(run.succeed('a'))).toEqual([]);
    expect(issued(run.succeed('b'))).toEqual(['c']);
    run.nowMs = 1_250;
    run.succeed('c', { total: 3 });
    expect(runStatusOf(run.state)).toBe('SUCCESS');
    expect(run.node('c')).toMatchObject({ status: 'SUCCESS', output: { total: 3 }, startedAtMs: 1_000, finishedAtMs: 1_250 });
    expect(run.notices.slice(-2)).toEqual([
      { type: 'node.finished', atMs: 1_250, nodeId: 'c', status: 'SUCCESS', durationMs: 250 },
      { type: 'run.finished', atMs: 1_250, status: 'SUCCESS' },
    ]);
  });

  it('skips what depends on a failed node, however far, while independent branches go on', () => {
    const run = runOf([
      node('a'),
      node('b', { needs: ['a'] }),
      node('c', { needs: ['b'] }),
      node('x'),
      node('y', { needs: ['x'] }),
    ]).create();
    run.fail('a');
    expect(run.statuses()).toEqual({ a: 'FAILED', b: 'SKIPPED', c: 'SKIPPED', x: 'RUNNING', y: 'PENDING' });
    expect(runStatusOf(run.state)).toBe('RUNNING');
    run.succeed('x');
    run.succeed('y');
    expect(runStatusOf(run.state)).toBe('FAILED');
    expect(errorOf(run.state)).toEqual({ code: 'AGENT_FAILED', message: 'exit 1', nodeId: 'a' });
  });

  it('carries the error of the node that failed first, not of the one that is defined first', () => {
    const run = runOf([node('a'), node('b')]).create();
    run.fail('b', { code: 'AGENT_FAILED', message: 'second by definition', nodeId: 'forged' });
    run.fail('a', { code: 'AGENT_FAILED', message: 'first by definition' });
    expect(errorOf(run.state)).toEqual({ code: 'AGENT_FAILED', message: 'second by definition', nodeId: 'b' });
    expect(run.node('b').attempts).toMatchObject([{ error: { nodeId: 'b' } }]);
  });

  it.each<[NonNullable<NodeInput['onFailure']>, JsonValue | undefined, JsonValue]>([
    ['continue', undefined, null],
    ['fallback', { total: 0 }, { total: 0 }],
  ])('goes on after a failure with onFailure %s', (onFailure, fallbackOutput, seen) => {
    const run = runOf([
      node('a', { onFailure, fallbackOutput }),
      node('b', { needs: ['a'], input: { out: '{{ a.output }}', status: '{{ a.status }}', code: '{{ a.error.code }}' } }),
    ]).create();
    const [issue] = run.fail('a');
    expect(issue).toMatchObject({ nodeId: 'b', input: { out: seen, status: 'FAILED', code: 'AGENT_FAILED' } });
    run.succeed('b');
    expect(runStatusOf(run.state)).toBe('SUCCESS');
    expect(run.node('a')).toMatchObject({ status: 'FAILED', error: { code: 'AGENT_FAILED' } });
  });

  it.each([
    ['true', { on: true }, { a: 'SUCCESS', b: 'RUNNING', c: 'PENDING' }],
    ['false', { on: false }, { a: 'SUCCESS', b: 'SKIPPED', c: 'SKIPPED' }],
  ])('starts or skips a node where `when` is %s, and what depends on it alike', (_, context, statuses) => {
    const run = runOf([
      node('a'),
      node('b', { needs: ['a'], when: 'context.on && a.output.total > 0' }),
      node('c', { needs: ['b'] }),
    ]).create({ context });
    run.succeed('a', { total: 2 });
    expect(run.statuses()).toEqual(statuses);
  });

  it('succeeds where nodes were skipped but none failed', () => {
    const run = runOf([node('a', { when: 'context.on' })]).create({ context: { on: false } });
    expect(runStatusOf(run.state)).toBe('SUCCESS');
    expect(run.notices.map((notice) => notice.type)).toEqual(['run.started', 'node.finished', 'run.finished']);
  });

  it.each<[string, Partial<NodeInput>, string]>([
    ['a template that names nothing', { input: { x: ['{{ context.missing.deep }}'] } }, 'context.missing.deep: context has no "missing"'],
    ['an expression that fails', { input: { x: '{{ context.n + "a" }}' } }, 'context.n + "a": no such overload: dyn<double> + string'],
    ['a `when` that is not true or false', { when: 'context.n' }, 'context.n: "when" must be true or false, not 1'],
  ])('fails a node with %s before any ticket is issued', (_, more, message) => {
    const run = runOf([node('a', more)]).create({ context: { n: 1 } });
    expect(run.commands).toEqual([]);
    expect(errorOf(run.state)).toEqual({ code: 'TEMPLATE_UNRESOLVED', message, nodeId: 'a' });
  });

  it('lets an error that is no mistake of the workflow through', () => {
    const broken = new RunUnderTest({ name: 'test', nodes: [node('a', { when: '1 + 1 == 2' })] }, () => {
      throw new RangeError('a fault of ours');
    });
    expect(() => broken.create()).toThrow('a fault of ours');
    expect(runStatusOf(broken.state)).toBe('PENDING');
  });
});

describe('map', () => {
  const mapped = (more: Partial<NodeInput> = {}) =>
    runOf([
      node('m', { map: '{{ context.list }}', input: { it: '{{ item.n }}' }, ...more }),
      node('z', { needs: ['m'], input: { all: '{{ m.output }}' } }),
    ]);

  it('runs once per element and joins the outputs in the order of the elements', () => {
    const run = mapped().create({ context: { list: [{ n: 'p' }, { n: 'q' }, { n: 'r' }] } });
    expect(run.commands.map((command) => command.type === 'issue' && [command.slot, command.input])).toEqual([
      [0, { it: 'p' }],
      [1, { it: 'q' }],
      [2, { it: 'r' }],
    ]);
    run.succeed('m', 'third', 2);
    run.succeed('m', 'first', 0);
    const [issue] = run.succeed('m', 'second', 1);
    expect(issue).toMatchObject({ nodeId: 'z', input: { all: ['first', 'second', 'third'] } });
    expect(run.node('m').attempts.map(({ slot, attempt, output }) => [slot, attempt, output])).toEqual([
      [0, 1, 'first'],
      [1, 1, 'second'],
      [2, 1, 'third'],
    ]);
  });

  it('succeeds at once with an empty array, and asks nobody to approve nothing', () => {
    const run = mapped({ approval: true }).create({ context: { list: [] } });
    expect(run.node('m')).toMatchObject({ status: 'SUCCESS', output: [], attempts: [] });
    expect(issued(run.commands)).toEqual(['z']);
  });

  it.each<[string, JsonValue, string]>([
    ['an object', { a: 1 }, '"map" gave {"a":1}, which is not an array'],
    ['more than 10,000 elements', Array.from({ length: 10_001 }, () => 0), '"map" gave 10001 elements; at most 10000 are allowed'],
  ])('fails with MAP_NOT_ARRAY over %s', (_, list, message) => {
    const run = mapped({ input: {} }).create({ context: { list } });
    expect(run.node('m').error).toEqual({ code: 'MAP_NOT_ARRAY', message, nodeId: 'm' });
  });

  it('fails with the slot that fails for good, revokes the others, and forgets their retries', () => {
    const run = mapped({ retry: { maxAttempts: 2, ...noJitter } }).create({ context: { list: [{ n: 1 }, { n: 2 }, { n: 3 }] } });
    run.fail('m', undefined, 1);
    expect(wakeAtOf(run.state)).toBe(2_000);
    const commands = run.fail('m', { code: 'AGENT_INPUT_SCHEMA', message: 'bad input' }, 2);
    expect(commands).toMatchObject([
      { type: 'bury', ticketId: run.ticketOf('m', 2), error: { code: 'AGENT_INPUT_SCHEMA' } },
      { type: 'revoke', ticketId: run.ticketOf('m', 0) },
    ]);
    expect(run.statuses()).toEqual({ m: 'FAILED', z: 'SKIPPED' });
    expect(errorOf(run.state)).toEqual({ code: 'AGENT_INPUT_SCHEMA', message: 'bad input', nodeId: 'm' });
    expect(run.node('m').attempts.map(({ slot, status }) => [slot, status])).toEqual([
      [0, 'CANCELLED'],
      [1, 'FAILED'],
      [2, 'FAILED'],
    ]);
    expect(wakeAtOf(run.state)).toBeUndefined();
  });

  it('drops the retry of a failed node from the times to wake at while the run goes on', () => {
    const run = runOf([node('m', { map: '{{ context.list }}', retry: { maxAttempts: 2, ...noJitter } }), node('other')]).create({
      context: { list: [1, 2] },
    });
    run.fail('m', undefined, 0);
    run.fail('m', { code: 'AGENT_INPUT_SCHEMA', message: 'bad input' }, 1);
    expect(wakeAtOf(run.state)).toBeUndefined();
    expect(run.wake(99_999)).toEqual([]);
  });
});

describe('news and no news', () => {
  const ended = (end: (run: RunUnderTest) => void) => {
    const run = runOf([node('a', { approval: true }), node('b'), node('c', { needs: ['b'] })]).create({ deadlineAtMs: 50_000 });
    end(run);
    return run;
  };

  it('ignores results of tickets that are finished, unknown or another run’s', () => {
    const run = runOf([node('a'), node('b')]).create();
    run.succeed('a', 1);
    const { state } = run;
    run.succeed('a', 2);
    run.fail('a');
    run.lose('a');
    for (const ticketId of ['tkt_01JD0000000000000000000000.99', 'tkt_01JD0000000000000000000001.1', 'tkt_x', '.']) {
      run.send({ type: 'ticket.settled', atMs: 1_000, ticketId: ticketId as never, outcome: { ok: true, output: 3 } });
    }
    expect(run.state).toBe(state);
    expect(run.node('a').output).toBe(1);
  });

  it('ignores the late result of a ticket that was lost', () => {
    const run = runOf([node('a')]).create();
    const ticketId = run.ticketOf('a');
    run.lose('a');
    run.send({ type: 'ticket.settled', atMs: 1_000, ticketId, outcome: { ok: true, output: 'late' } });
    expect(run.statuses()).toEqual({ a: 'RUNNING' });
  });

  it.each<[string, (run: RunUnderTest) => void]>([
    ['SUCCESS', (run) => void [run.answer('a', true), run.succeed('a'), run.succeed('b'), run.succeed('c')]],
    ['FAILED', (run) => void [run.answer('a', false), run.fail('b')]],
    ['CANCELLED', (run) => void run.cancel()],
    ['TIMED_OUT', (run) => void run.wake(50_000)],
  ])('lets nothing change a run that ended %s', (status, end) => {
    const run = ended(end);
    const { state } = run;
    expect(runStatusOf(state)).toBe(status);
    run.cancel();
    run.create();
    run.wake(999_999_999);
    run.succeed('b', 'again');
    run.lose('b');
    run.answer('a', true);
    expect(run.state).toBe(state);
    expect([blockerOf(state), wakeAtOf(state)]).toEqual([undefined, undefined]);
  });

  it.each<[string, (run: RunUnderTest) => void, string]>([
    ['cancelling', (run) => void run.cancel('enough'), 'cancelled by ann: enough'],
    ['cancelling without a reason', (run) => void run.cancel(), 'cancelled by ann'],
    ['the deadline', (run) => void run.wake(50_000), 'the run did not end within 49000 ms'],
  ])('leaves nothing live after %s', (_, end, message) => {
    const run = ended(end);
    const approvalId = run.approvalOf('a');
    expect(run.commands.slice(-2)).toEqual([
      { type: 'close-approval', approvalId, status: 'CANCELLED' },
      { type: 'revoke', ticketId: run.ticketOf('b') },
    ]);
    expect(run.statuses()).toEqual({ a: 'CANCELLED', b: 'CANCELLED', c: 'CANCELLED' });
    expect(errorOf(run.state)?.message).toBe(message);
    expect(run.state).toMatchObject({ liveTicketCount: 0, pendingApprovalCount: 0, openNodeCount: 0 });
    expect(run.notices.at(-1)?.type).toBe('run.finished');
  });

  it('keeps what had finished before it was cancelled', () => {
    const run = runOf([node('a'), node('b', { needs: ['a'] })]).create();
    run.succeed('a', 1);
    run.cancel();
    expect(run.statuses()).toEqual({ a: 'SUCCESS', b: 'CANCELLED' });
  });

  it('never changes a state it was given', () => {
    const run = runOf([
      node('a', { retry: { maxAttempts: 2, ...noJitter } }),
      node('b', { needs: ['a'], approval: true }),
      node('m', { map: '{{ context.list }}' }),
    ]);
    const steps: ((r: RunUnderTest) => unknown)[] = [
      (r) => r.create({ context: { list: [1, 2] } }),
      (r) => r.fail('a'),
      (r) => r.wake(2_000),
      (r) => r.lose('m', 1),
      (r) => r.succeed('a'),
      (r) => r.answer('b', true),
      (r) => r.cancel(),
    ];
    for (const step of steps) {
      const before = run.state;
      const text = JSON.stringify(before);
      step(run);
      expect(JSON.stringify(before)).toBe(text);
    }
    expect(runStatusOf(run.state)).toBe('CANCELLED');
  });

  it('gives the same state, commands and notices folded at once or one by one', () => {
    const run = runOf([node('a'), node('b', { needs: ['a'] }), node('c', { needs: ['b'] })]).create();
    run.succeed('a', 1);
    run.lose('b');
    run.fail('b');
    const whole = fold(initialState(testRunId, run.rules.plan), run.journal, run.rules);
    expect(whole).toEqual({ state: run.state, commands: run.commands, notices: run.notices });
    expect(decide(run.state, { type: 'run.woken', atMs: 5 }, run.rules)).toEqual({ state: run.state, commands: [], notices: [] });
  });
});
