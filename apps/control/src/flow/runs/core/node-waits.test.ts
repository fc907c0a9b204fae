import { describe, expect, it } from 'vitest';
import { node, RunUnderTest } from './run-under-test.ts';

const approvalId = (n: number) => `apr_01JD0000000000000000000000.${n}`;
const waits = (run: RunUnderTest, id = 'a') => run.node(id).waits;
const runOf = (...nodes: Parameters<typeof node>[1][]) =>
  new RunUnderTest({ name: 'test', nodes: nodes.map((more, index) => node('abc'[index] ?? '', more)) }).create({
    context: { list: [1, 2] },
  });
const bare = { agent: undefined } as const;

describe('what a node waits for', () => {
  it('is nothing where a worker has it, where it has not begun, and where it is over', () => {
    const run = runOf({}, { needs: ['a'] });
    expect([waits(run), waits(run, 'b')]).toEqual([[], []]);
    run.succeed('a');
    run.succeed('b');
    expect([waits(run), waits(run, 'b')]).toEqual([[], []]);
  });

  it('is a time, a signal with its key, an event, a person', () => {
    const run = new RunUnderTest({
      name: 'test',
      nodes: [
        { id: 'nap', sleep: { forMs: 5_000 } },
        { id: 'go', wait: { signal: 'go', key: 'k', expiresAfterMs: 1_000 } },
        { id: 'paid', wait: { event: 'paid', key: 'k', expiresAfterMs: 1_000 } },
        node('gate', { approval: true }),
      ],
    }).create();
    expect(['nap', 'go', 'paid', 'gate'].map((id) => waits(run, id))).toEqual([
      [{ kind: 'timer', slot: 0, untilMs: 6_000 }],
      [{ kind: 'signal', slot: 0, name: 'go', key: 'k', untilMs: 2_000 }],
      [{ kind: 'signal', slot: 0, name: 'event:paid', key: 'k', untilMs: 2_000 }],
      [{ kind: 'approval', slot: 0, approvalId: approvalId(0) }],
    ]);
    run.signal('go', { key: 'k' });
    expect(waits(run, 'go')).toEqual([]);
  });

  it('is told for each slot of its own', () => {
    const run = runOf({ map: '{{ context.list }}', retry: { maxAttempts: 2, backoffMs: 1_000, jitterRatio: 0 } });
    run.fail('a', undefined, 1);
    run.suspend('a', { kind: 'signal', step: 's', name: 'go', expiresAfterMs: 10 }, 0);
    expect(waits(run)).toEqual([
      { kind: 'signal', slot: 0, name: 'go', untilMs: 1_010 },
      { kind: 'retry', slot: 1, untilMs: 2_000 },
    ]);
  });

  it('is what became of an effect', () => {
    const run = runOf({});
    run.suspend('a', { kind: 'effect', step: 's', effectId: 'eff_1' as never, tool: 'mail' });
    expect(waits(run)).toEqual([{ kind: 'effect', slot: 0, effectId: 'eff_1', tool: 'mail' }]);
  });

  it('is the agent it called, and what that one waits for', () => {
    const run = runOf({});
    run.suspend('a', { kind: 'agent', step: 's', agent: 'helper', input: {} });
    expect(waits(run)).toEqual([{ kind: 'agent', slot: 0, agent: 'helper' }]);
    run.suspend('a', { kind: 'agent', step: 's', agent: 'deployer', input: {}, isGated: true }, 1);
    expect(waits(run)).toEqual([
      { kind: 'agent', slot: 0, agent: 'helper' },
      { kind: 'agent', slot: 0, agent: 'deployer' },
      { kind: 'approval', slot: 0, approvalId: approvalId(0) },
    ]);
  });

  it('is nothing any more where the run is over', () => {
    const run = runOf({ ...bare, agent: undefined, sleep: { forMs: 5_000 } });
    run.cancel();
    expect(waits(run)).toEqual([]);
  });
});
