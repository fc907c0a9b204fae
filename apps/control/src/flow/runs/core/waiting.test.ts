import type { WorkflowDefinition, WorkflowInput } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { createExpressions } from '../expressions.ts';
import { blockerOf, errorOf, fold, initialState, planOf, runStatusOf, wakeAtOf } from './index.ts';
import { issued, node, type NodeInput, RunUnderTest, testRunId } from './run-under-test.ts';

const { evaluate } = createExpressions();
const runOf = (nodes: NodeInput[], more: Partial<WorkflowInput> = {}) => new RunUnderTest({ name: 'test', nodes, ...more }, evaluate);
const noJitter = { backoffMs: 1_000, factor: 2, jitterRatio: 0 };

describe('approval', () => {
  it('asks with the resolved input before the first ticket, and issues it once approved', () => {
    const run = runOf([
      node('a', { action: 'deploy', input: { to: '{{ context.to }}' }, approval: { message: 'Deploy?', expiresAfterMs: 60_000 } }),
    ]).create({
      context: { to: 'prod' },
    });
    const approvalId = 'apr_01JD0000000000000000000000.0';
    expect(run.commands).toEqual([
      {
        type: 'request-approval',
        approvalId,
        nodeId: 'a',
        agent: 'worker',
        action: 'deploy',
        message: 'Deploy?',
        input: { to: 'prod' },
        excludeRequester: false,
        expiresAtMs: 61_000,
      },
    ]);
    expect(runStatusOf(run.state)).toBe('WAITING_APPROVAL');
    expect(run.statuses()).toEqual({ a: 'WAITING_APPROVAL' });
    expect(blockerOf(run.state)).toEqual({ kind: 'approval', nodeId: 'a', approvalId, expiresAtMs: 61_000 });
    run.nowMs = 2_000;
    expect(run.answer('a', true)).toMatchObject([{ type: 'issue', input: { to: 'prod' }, readyAtMs: 2_000 }]);
    expect(runStatusOf(run.state)).toBe('RUNNING');
    expect(wakeAtOf(run.state)).toBeUndefined();
    expect(run.node('a').startedAtMs).toBe(2_000);
  });

  it('asks once, not again before a retry', () => {
    const run = runOf([node('a', { approval: true, retry: { maxAttempts: 2, backoffMs: 0 } })]).create();
    run.answer('a', true);
    expect(issued(run.fail('a'))).toEqual(['a']);
    expect(run.commands.filter((command) => command.type === 'request-approval')).toHaveLength(1);
  });

  it('shows the inputs of all slots of a map node', () => {
    const run = runOf([node('m', { map: '{{ context.list }}', input: { n: '{{ item }}' }, approval: true })]).create({
      context: { list: [1, 2] },
    });
    expect(run.commands).toMatchObject([{ type: 'request-approval', input: [{ n: 1 }, { n: 2 }] }]);
    expect(issued(run.answer('m', true))).toEqual(['m', 'm']);
  });

  it.each([
    [
      'rejected',
      (run: RunUnderTest) => run.answer('a', false),
      { error: { code: 'APPROVAL_REJECTED', message: 'rejected by ann', nodeId: 'a' }, closed: [] },
    ],
    [
      'not decided in time',
      (run: RunUnderTest) => run.wake(86_401_000),
      { error: { code: 'APPROVAL_EXPIRED', message: 'nobody decided before the approval expired', nodeId: 'a' }, closed: ['EXPIRED'] },
    ],
  ])('fails the node that was %s', (_, end, { error, closed }) => {
    const run = runOf([node('a', { approval: true }), node('b', { needs: ['a'] })]).create();
    const commands = end(run);
    expect(commands.flatMap((command) => (command.type === 'close-approval' ? [command.status] : []))).toEqual(closed);
    expect(run.statuses()).toEqual({ a: 'FAILED', b: 'SKIPPED' });
    expect(errorOf(run.state)).toEqual(error);
  });

  it('is also asked where the agent asked for it when the run began, even against approval: false', () => {
    const run = runOf([node('a', { approval: false }), node('b')]).create({ gatedNodeIds: ['a', 'gone'] });
    expect(run.statuses()).toEqual({ a: 'WAITING_APPROVAL', b: 'RUNNING' });
    expect(wakeAtOf(run.state)).toBe(86_401_000);
  });

  it('keeps several requests apart, and waits for approval while one is pending', () => {
    const run = runOf([
      node('a', { approval: { expiresAfterMs: 5_000 } }),
      node('b', { approval: { expiresAfterMs: 3_000 } }),
      node('c', { approval: true }),
    ]).create();
    run.answer('a', true);
    expect(run.statuses()).toEqual({ a: 'RUNNING', b: 'WAITING_APPROVAL', c: 'WAITING_APPROVAL' });
    expect(wakeAtOf(run.state)).toBe(4_000);
    run.wake(7_000);
    expect(run.statuses()).toEqual({ a: 'RUNNING', b: 'FAILED', c: 'WAITING_APPROVAL' });
    expect(runStatusOf(run.state)).toBe('WAITING_APPROVAL');
    expect(blockerOf(run.state)).toMatchObject({ kind: 'approval', nodeId: 'c' });
  });

  it('ignores a second decision, a late one, and one that was never asked for', () => {
    const run = runOf([node('a', { approval: true }), node('b')]).create();
    run.answer('a', false);
    const { state } = run;
    run.answer('a', true);
    run.send({ type: 'approval.decided', atMs: 1, approvalId: 'apr_01JD0000000000000000000000.7' as never, approved: true, by: 'ann' });
    expect(run.state).toBe(state);
  });

  it('keeps who started the run, whether they may decide, and who decided what', () => {
    const run = runOf([node('a', { approval: { excludeRequester: true } }), node('b', { approval: true })]).create({ by: 'bob' });
    expect(run.state.startedBy).toBe('bob');
    expect(run.commands).toMatchObject([{ excludeRequester: true }, { excludeRequester: false }]);
    run.answer('a', false);
    expect(run.state.approvals).toMatchObject([
      { nodeId: 'a', excludeRequester: true, isPending: false, decided: { approved: false, by: 'ann' } },
      { nodeId: 'b', excludeRequester: false, isPending: true },
    ]);
  });

  it('fills in what a workflow stored by an earlier version does not say', () => {
    const run = runOf([node('a', { approval: { expiresAfterMs: 5_000 } })]);
    const [written] = run.rules.plan.definition.nodes;
    const stored = { ...run.rules.plan.definition, nodes: [{ ...written, approval: { expiresAfterMs: 5_000 } }] } as WorkflowDefinition;
    const rules = { ...run.rules, plan: planOf(stored) };
    const { commands } = fold(initialState(testRunId, rules.plan), [{ type: 'run.created', atMs: 1_000, context: {} }], rules);
    expect(commands).toMatchObject([{ type: 'request-approval', expiresAtMs: 6_000, excludeRequester: false }]);
  });

  it('tells the notes of whoever rejected', () => {
    const run = runOf([node('a', { approval: true })]).create();
    run.send({ type: 'approval.decided', atMs: 1, approvalId: run.approvalOf('a'), approved: false, by: 'ann', notes: 'not on a Friday' });
    expect(errorOf(run.state)?.message).toBe('rejected by ann: not on a Friday');
  });
});

describe('what a run waits for', () => {
  it('names the oldest live ticket and how many others there are', () => {
    const run = runOf([node('a'), node('b'), node('c')]).create();
    run.succeed('a');
    expect(blockerOf(run.state)).toEqual({ kind: 'ticket', nodeId: 'b', ticketId: run.ticketOf('b'), otherCount: 1 });
  });

  it('wakes at the deadline, or before it for a retry', () => {
    const run = runOf([node('a', { retry: { maxAttempts: 2, ...noJitter } })]).create({ deadlineAtMs: 50_000 });
    expect(wakeAtOf(run.state)).toBe(50_000);
    run.fail('a');
    expect(wakeAtOf(run.state)).toBe(2_000);
  });

  it('takes chains of 10,000 nodes that start, skip or finish in one event', () => {
    const ids = Array.from({ length: 10_000 }, (_, index) => `n${index}`);
    const chain = (more: (index: number) => Partial<NodeInput>) =>
      ids.map((id, index) => node(id, { ...(index > 0 && { needs: [`n${index - 1}`] }), ...more(index) }));
    const skipped = runOf(chain((index) => (index === 0 ? { when: 'false' } : {}))).create();
    expect(runStatusOf(skipped.state)).toBe('SUCCESS');
    const empty = runOf(chain(() => ({ map: '{{ context.none }}' }))).create({ context: { none: [] } });
    expect(runStatusOf(empty.state)).toBe('SUCCESS');
  });
});
