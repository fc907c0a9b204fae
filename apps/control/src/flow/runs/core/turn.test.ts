import { type RunId, type WorkflowInput, workflowDefinitionSchema } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { createExpressions } from '../expressions.ts';
import { planOf, turnOf } from './index.ts';
import { node, RunUnderTest } from './run-under-test.ts';

const turnWith = (concurrency: WorkflowInput['concurrency'], context = {}) => {
  const plan = planOf(workflowDefinitionSchema.parse({ name: 'w', nodes: [node('a')], ...(concurrency !== undefined && { concurrency }) }));
  return turnOf({ plan, evaluate: createExpressions().evaluate }, { runId: 'run_1' as RunId, context });
};

describe('what a run takes its turn at', () => {
  it('is nothing where its workflow says nothing of that', () => {
    expect(turnWith(undefined)).toBeUndefined();
  });

  it("is its workflow's name, where no key is given", () => {
    expect(turnWith({ limit: 3 })).toEqual({ key: 'w', limit: 3 });
    expect(turnWith({ limit: 1, overlap: 'skip' })).toEqual({ key: 'w', limit: 1, overlap: 'skip' });
  });

  it('is what the context makes of the key', () => {
    expect(turnWith({ key: 'c-{{ context.customer }}', limit: 1 }, { customer: 7 })?.key).toBe('c-7');
    expect(turnWith({ key: '{{ context.customer + 1 }}', limit: 1 }, { customer: 7 })?.key).toBe('8');
  });

  it.each([[{}], [{ customer: null }], [{ customer: '' }], [{ customer: ['a'] }], [{ customer: 'x'.repeat(501) }]])(
    'is refused where the context is %j',
    (context) => {
      expect(() => turnWith({ key: '{{ context.customer }}', limit: 1 }, context)).toThrow(
        expect.objectContaining({ code: 'TEMPLATE_UNRESOLVED' }),
      );
    },
  );
});

describe('a run that waits for its turn', () => {
  it('remembers at what, also after it began and ended', () => {
    const run = new RunUnderTest({ name: 'w', nodes: [node('a')] }).create({ queue: { key: 'k', limit: 1, overlap: 'replace' } });
    expect(run.state).toMatchObject({ phase: { kind: 'queued', key: 'k', limit: 1, overlap: 'replace' }, turnKey: 'k' });
    run.send({ type: 'run.admitted', atMs: 2_000 });
    run.succeed('a');
    expect(run.state).toMatchObject({ phase: { kind: 'ended', status: 'SUCCESS' }, turnKey: 'k' });
  });
});
