import type { EffectId, MemoEntry } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { blockerOf, errorOf, runStatusOf, wakeAtOf } from './index.ts';
import { issued, node, type NodeInput, RunUnderTest } from './run-under-test.ts';

const runOf = (nodes: NodeInput[]) => new RunUnderTest({ name: 'w', nodes });
const waiting = (id: string, wait: NonNullable<NodeInput['wait']>, more: Partial<NodeInput> = {}): NodeInput => ({ id, wait, ...more });
const memoOf = (commands: readonly { readonly type: string; readonly memo?: readonly MemoEntry[] }[]) =>
  commands.find(({ type }) => type === 'issue')?.memo;
const day = 86_400_000;

describe('a node that waits for a signal', () => {
  const paid = () =>
    runOf([
      waiting('paid', { signal: 'paid', expiresAfterMs: 10_000 }),
      node('ship', { needs: ['paid'], input: { of: '{{ paid.output.id }}' } }),
    ]);

  it('goes on with the payload as its output', () => {
    const run = paid().create();
    expect(run.commands).toEqual([]);
    expect(blockerOf(run.state)).toEqual({ kind: 'signal', nodeId: 'paid', name: 'paid', expiresAtMs: 11_000 });
    expect(run.signal('paid', { payload: { id: 7 } })).toMatchObject([{ type: 'issue', nodeId: 'ship', input: { of: 7 } }]);
    expect(run.node('paid')).toMatchObject({ status: 'SUCCESS', output: { id: 7 }, attempts: [] });
  });

  it('takes a signal that came before it began to wait', () => {
    const run = runOf([node('a'), waiting('paid', { signal: 'paid' }, { needs: ['a'] })]).create();
    run.signal('paid', { payload: 'early' });
    run.succeed('a');
    expect(run.node('paid')).toMatchObject({ status: 'SUCCESS', output: 'early' });
    expect(runStatusOf(run.state)).toBe('SUCCESS');
  });

  it('counts a signal that is sent twice once: the second wait still waits', () => {
    const run = runOf([waiting('one', { signal: 's' }), waiting('two', { signal: 's' }, { needs: ['one'] })]).create();
    run.signal('s', { signalId: 'x' });
    const before = run.state;
    run.signal('s', { signalId: 'x' });
    expect(run.state).toBe(before);
    expect(run.statuses()).toEqual({ one: 'SUCCESS', two: 'RUNNING' });
    run.signal('s', { signalId: 'y' });
    expect(runStatusOf(run.state)).toBe('SUCCESS');
  });

  it('is given to the node that has waited longest, and only where the key is the same', () => {
    const run = runOf([
      waiting('b', { signal: 's', key: 'blue' }),
      waiting('r', { signal: 's', key: '{{ context.colour }}' }),
      waiting('any', { signal: 's' }),
    ]).create({ context: { colour: 'red' } });
    run.signal('s', { key: 'red', payload: 1 });
    run.signal('s', { key: 'red', payload: 2 });
    expect(run.statuses()).toEqual({ b: 'RUNNING', r: 'SUCCESS', any: 'SUCCESS' });
    expect([run.node('r').output, run.node('any').output]).toEqual([1, 2]);
  });

  it('fails with SIGNAL_EXPIRED when nobody sends it in time, and then no signal changes anything', () => {
    const run = paid().create();
    run.wake(10_999);
    expect(run.statuses()).toEqual({ paid: 'RUNNING', ship: 'PENDING' });
    run.wake(11_000);
    expect(errorOf(run.state)).toEqual({ code: 'SIGNAL_EXPIRED', message: 'signal paid did not come in time', nodeId: 'paid' });
    expect(run.signal('paid')).toEqual([]);
  });

  it('waits once per element of a map', () => {
    const run = runOf([waiting('each', { signal: 'done', key: '{{ item }}' }, { map: '{{ context.ids }}' })]).create({
      context: { ids: ['x', 'y'] },
    });
    run.signal('done', { key: 'y', payload: 2 });
    run.signal('done', { key: 'x', payload: 1 });
    expect(run.node('each').output).toEqual([1, 2]);
  });

  it.each(['x'.repeat(500), 'x', 7])('takes a key of 1 to 500 characters, or a number: %s', (key) => {
    const run = runOf([waiting('a', { signal: 's', key: '{{ context.key }}' })]).create({ context: { key } });
    expect(blockerOf(run.state)).toMatchObject({ kind: 'signal', key: String(key) });
  });

  it.each(['', 'x'.repeat(501), null])('refuses any other key: %s', (key) => {
    const run = runOf([waiting('a', { signal: 's', key: '{{ context.key }}' })]).create({ context: { key } });
    expect(errorOf(run.state)?.code).toBe('TEMPLATE_UNRESOLVED');
  });

  it('fails where its key is no text', () => {
    const run = runOf([waiting('a', { signal: 's', key: '{{ context.key }}' })]).create({ context: { key: [] } });
    expect(errorOf(run.state)).toMatchObject({ code: 'TEMPLATE_UNRESOLVED', message: 'key: [] is not a text of 1 to 500 characters' });
  });
});

describe('a node that waits for an event', () => {
  it('tells the world what it waits for, and that it waits no more', () => {
    const run = runOf([waiting('a', { event: 'invoice.paid', key: '{{ context.id }}' })]).create({ context: { id: 42 } });
    expect(run.commands).toEqual([{ type: 'await-event', slotAt: 0, name: 'invoice.paid', key: '42' }]);
    expect(run.signal('event:invoice.paid', { key: '42', payload: 'ok' })).toEqual([{ type: 'forget-event', slotAt: 0 }]);
    expect(run.node('a')).toMatchObject({ status: 'SUCCESS', output: 'ok' });
  });

  it('neither waits nor is forgotten where the event came before', () => {
    const run = runOf([node('a'), waiting('b', { event: 'e', key: 'k' }, { needs: ['a'] })]).create();
    run.signal('event:e', { key: 'k', payload: 1 });
    expect(run.succeed('a')).toEqual([]);
    expect(run.node('b').output).toBe(1);
  });

  it('is forgotten when the run is cancelled', () => {
    const run = runOf([waiting('a', { event: 'e', key: 'k' })]).create();
    expect(run.cancel()).toEqual([{ type: 'forget-event', slotAt: 0 }]);
  });
});

describe('a node that sleeps', () => {
  it('goes on when its time has come, however late the wake-up', () => {
    const run = runOf([{ id: 'nap', sleep: { forMs: 3 * day } }, node('a', { needs: ['nap'] })]).create();
    expect(blockerOf(run.state)).toEqual({ kind: 'timer', nodeId: 'nap', dueAtMs: 1_000 + 3 * day });
    expect(wakeAtOf(run.state)).toBe(1_000 + 3 * day);
    expect(issued(run.wake(5 * day))).toEqual(['a']);
    expect(run.wake(6 * day)).toEqual([]);
  });

  it('wakes with everything else that is due by then', () => {
    const run = runOf([
      { id: 'short', sleep: { forMs: 1_000 } },
      { id: 'long', sleep: { forMs: 2_000 } },
      { id: 'longer', sleep: { forMs: 9_000 } },
    ]).create();
    run.wake(8_000);
    expect(run.statuses()).toEqual({ short: 'SUCCESS', long: 'SUCCESS', longer: 'RUNNING' });
  });

  it('sleeps until a time that a template gives, and not at all where it is past', () => {
    const run = runOf([
      { id: 'later', sleep: { until: '{{ context.at }}' } },
      { id: 'past', sleep: { until: '{{ context.past }}' } },
      { id: 'year', sleep: { until: '{{ context.year }}' } },
    ]).create({ context: { at: '1970-01-01T01:00:05+01:00', past: 500, year: 365 * day + 1_000 } });
    expect(wakeAtOf(run.state)).toBe(500);
    run.wake(2_000);
    expect(run.statuses()).toEqual({ later: 'RUNNING', past: 'SUCCESS', year: 'RUNNING' });
    run.wake(5_000);
    expect(run.node('later').status).toBe('SUCCESS');
    run.wake(365 * day + 1_000);
    expect(runStatusOf(run.state)).toBe('SUCCESS');
  });

  it.each(['tomorrow', '1970-01-01T00:00:00', true, 1.5, 365 * day + 1_001, '9999-01-01T00:00:00Z'])(
    'fails where the time is %j',
    (until) => {
      const run = runOf([{ id: 'a', sleep: { until: '{{ context.until }}' } }]).create({ context: { until } });
      expect(errorOf(run.state)?.code).toBe('TEMPLATE_UNRESOLVED');
    },
  );
});

describe('an agent that waits', () => {
  it('gives its ticket back, and is started again with what came of it; that is no failed attempt', () => {
    const run = runOf([node('a', { retry: { maxAttempts: 1 } })]).create();
    run.suspend('a', { kind: 'timer', step: 'nap', forMs: 5_000 });
    expect(run.state.liveTicketCount).toBe(0);
    const commands = run.wake(6_000);
    expect(commands).toMatchObject([
      { type: 'issue', nodeId: 'a', attempt: 2, memo: [{ step: 'nap', outcome: { ok: true, output: null } }] },
    ]);
    run.suspend('a', { kind: 'signal', step: 'go', name: 'go', expiresAfterMs: 1_000 });
    expect(memoOf(run.signal('go', { payload: 3 }))).toEqual([
      { step: 'nap', outcome: { ok: true, output: null } },
      { step: 'go', outcome: { ok: true, output: 3 } },
    ]);
    run.succeed('a', 'end');
    expect(run.node('a').attempts.map(({ status }) => status)).toEqual(['SUSPENDED', 'SUSPENDED', 'SUCCESS']);
  });

  it('hears that a signal did not come', () => {
    const run = runOf([node('a')]).create();
    run.suspend('a', { kind: 'signal', step: 'go', name: 'go', expiresAfterMs: 1_000 });
    expect(memoOf(run.wake(2_000))).toMatchObject([{ step: 'go', outcome: { ok: false, error: { code: 'SIGNAL_EXPIRED' } } }]);
  });

  it.each([
    [true, { approved: true, decision: 'APPROVED', by: 'ann' }],
    [false, { approved: false, decision: 'REJECTED', by: 'ann' }],
  ])('hears what a person decided: approved is %s', (approved, output) => {
    const run = runOf([node('a')]).create();
    const asked = run.suspend('a', { kind: 'approval', step: 'ok?', message: 'Really?', input: { n: 1 }, expiresAfterMs: 1_000 });
    expect(asked).toMatchObject([{ type: 'request-approval', message: 'Really?', input: { n: 1 }, expiresAtMs: 2_000 }]);
    expect(runStatusOf(run.state)).toBe('WAITING_APPROVAL');
    expect(memoOf(run.answer('a', approved))).toEqual([{ step: 'ok?', outcome: { ok: true, output } }]);
  });

  it('hears that nobody decided', () => {
    const run = runOf([node('a')]).create();
    run.suspend('a', { kind: 'approval', step: 'ok?', message: 'Really?', input: null, expiresAfterMs: 1_000 });
    expect(memoOf(run.wake(2_000))).toMatchObject([{ outcome: { ok: true, output: { approved: false, decision: 'EXPIRED' } } }]);
  });

  it('gets the output of an agent that it called, and its failure where that failed for good', () => {
    const run = runOf([node('a', { retry: { maxAttempts: 1 } })]).create();
    const called = run.suspend('a', { kind: 'agent', step: 'scan', agent: 'scanner', action: 'scan', input: { n: 1 } });
    expect(called).toMatchObject([{ type: 'issue', nodeId: 'a', slot: 1, agent: 'scanner', action: 'scan', attempt: 1, input: { n: 1 } }]);
    expect(memoOf(run.succeed('a', 'clean', 1))).toEqual([{ step: 'scan', outcome: { ok: true, output: 'clean' } }]);
    run.suspend('a', { kind: 'agent', step: 'scan#2', agent: 'scanner', input: {} });
    const failed = run.fail('a', { code: 'AGENT_FAILED', message: 'no' }, 2);
    expect(failed.map(({ type }) => type)).toEqual(['issue']);
    expect(memoOf(failed)?.[1]).toMatchObject({ step: 'scan#2', outcome: { ok: false, error: { code: 'AGENT_FAILED' } } });
    run.succeed('a', 'end');
    expect(run.node('a')).toMatchObject({ status: 'SUCCESS', output: 'end' });
  });

  it('calls an agent that needs approval only when a person agrees', () => {
    const run = runOf([node('a')]).create();
    const call = { kind: 'agent', step: 's', agent: 'patcher', input: { n: 1 }, isGated: true } as const;
    expect(run.suspend('a', call)).toMatchObject([{ type: 'request-approval', agent: 'patcher', input: { n: 1 } }]);
    expect(run.answer('a', true)).toMatchObject([{ type: 'issue', agent: 'patcher', slot: 1, attempt: 1, memo: [] }]);
    run.succeed('a', 'patched', 1);
    run.suspend('a', { ...call, step: 't' });
    expect(memoOf(run.answer('a', false))?.[1]).toMatchObject({ step: 't', outcome: { ok: false, error: { code: 'APPROVAL_REJECTED' } } });
  });

  it('asks in its own name where another agent called it', () => {
    const run = runOf([node('a')]).create();
    run.suspend('a', { kind: 'agent', step: 's', agent: 'patcher', action: 'patch', input: {} });
    const asked = run.suspend('a', { kind: 'approval', step: 'ok?', message: 'Really?', input: 1, expiresAfterMs: 1_000 }, 1);
    expect(asked).toMatchObject([{ type: 'request-approval', nodeId: 'a', agent: 'patcher', action: 'patch', input: 1 }]);
  });

  it('takes down with its node what it called, asked and waited for', () => {
    const run = runOf([node('m', { map: '{{ context.list }}', retry: { maxAttempts: 1 } })]).create({ context: { list: [0, 1, 2, 3] } });
    run.suspend('m', { kind: 'agent', step: 's', agent: 'scanner', input: {} }, 0);
    run.suspend('m', { kind: 'approval', step: 's', message: '?', input: null, expiresAfterMs: 1_000 }, 1);
    run.suspend('m', { kind: 'signal', step: 's', name: 'go', expiresAfterMs: 1_000 }, 2);
    const commands = run.fail('m', undefined, 3);
    expect(commands).toMatchObject([
      { type: 'bury' },
      { type: 'revoke', ticketId: run.ticketOf('m', 4) },
      { type: 'close-approval', status: 'CANCELLED' },
    ]);
    expect([run.state.listeners, run.state.liveTicketCount, run.state.pendingApprovalCount]).toEqual([[], 0, 0]);
    expect(runStatusOf(run.state)).toBe('FAILED');
  });

  it('goes on in every slot when a person says what became of the effect that they share', () => {
    const effectId = 'eff_01JD0000000000000000000000' as EffectId;
    const run = runOf([node('m', { map: '{{ context.list }}' })]).create({ context: { list: [0, 1] } });
    for (const slot of [0, 1]) run.suspend('m', { kind: 'effect', step: 'pay', effectId, tool: 'bank.transfer' }, slot);
    expect(run.send({ type: 'effect.resolved', atMs: 2_000, effectId, by: 'ann' })).toMatchObject([
      { type: 'issue', slot: 0 },
      { type: 'issue', slot: 1 },
    ]);
    expect(run.state.unknownEffects).toEqual([]);
  });

  it('waits for a person where nobody knows what became of its effect', () => {
    const effectId = 'eff_01JD0000000000000000000000' as EffectId;
    const run = runOf([node('a')]).create();
    run.suspend('a', { kind: 'effect', step: 'pay', effectId, tool: 'bank.transfer' });
    expect(blockerOf(run.state)).toEqual({ kind: 'effect_unknown', nodeId: 'a', effectId, tool: 'bank.transfer' });
    expect(wakeAtOf(run.state)).toBeUndefined();
    const commands = run.send({ type: 'effect.resolved', atMs: 2_000, effectId, by: 'ann' });
    expect(commands).toMatchObject([{ type: 'issue', attempt: 2, memo: [] }]);
    expect(blockerOf(run.state)?.kind).toBe('ticket');
  });

  it('may not wait without end', () => {
    const run = runOf([node('a')]).create();
    for (let count = 0; count <= 1_000; count += 1) {
      run.suspend('a', { kind: 'signal', step: `s${count}`, name: 's', expiresAfterMs: 1_000 });
      if (runStatusOf(run.state) === 'RUNNING') run.signal('s', { signalId: `${count}` });
    }
    expect(errorOf(run.state)?.code).toBe('SUSPENDED_TOO_OFTEN');
  });
});
