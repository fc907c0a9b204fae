import { workflowDefinitionSchema } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { checkWorkflow } from './index.ts';
import { node, type NodeInput, RunUnderTest } from './run-under-test.ts';

const keysOf = ({ commands }: RunUnderTest) => commands.flatMap((command) => (command.type === 'issue' ? [command.concurrency] : []));
const runOf = (more: Partial<NodeInput>, context = {}) => new RunUnderTest({ name: 'w', nodes: [node('n', more)] }).create({ context });

describe('the concurrency key of a node', () => {
  it('is resolved for each element that the node runs for', () => {
    const run = runOf({ map: '{{ context.repos }}', concurrency: { key: 'repo {{ item }}', limit: 2 } }, { repos: ['a', 7] });
    expect(keysOf(run)).toEqual([
      { key: 'repo a', limit: 2 },
      { key: 'repo 7', limit: 2 },
    ]);
  });

  it('stays with the slot: a ticket that takes the place of a failed or lost one has it too', () => {
    const run = runOf({ concurrency: { key: 'printer', limit: 1 }, retry: { maxAttempts: 2, backoffMs: 0 } });
    run.fail('n');
    run.lose('n');
    expect(keysOf(run)).toEqual(Array.from({ length: 3 }, () => ({ key: 'printer', limit: 1 })));
  });

  it('is not that of an agent which the node’s agent calls', () => {
    const run = runOf({ concurrency: { key: 'printer', limit: 1 } });
    run.suspend('n', { kind: 'agent', step: 's', agent: 'other', input: {} });
    expect(keysOf(run)).toEqual([{ key: 'printer', limit: 1 }, undefined]);
  });

  it.each([
    ['is no text', { list: [1] }],
    ['is empty', { list: '' }],
    ['is too long', { list: 'x'.repeat(501) }],
  ])('fails the node where it %s', (_, context) => {
    const run = runOf({ concurrency: { key: '{{ context.list }}', limit: 1 } }, context);
    expect(run.node('n')).toMatchObject({ status: 'FAILED', error: { code: 'TEMPLATE_UNRESOLVED' } });
  });

  it.each([
    ['that names a node it does not need', { key: '{{ other.output }}', limit: 1 }],
    ['that names an element where there is none', { key: '{{ item }}', limit: 1 }],
    ['that is no template', { key: '{{ context.', limit: 1 }],
  ])('%s is refused when the workflow is deployed', (_, concurrency) => {
    const definition = workflowDefinitionSchema.parse({ name: 'w', nodes: [node('n', { concurrency }), node('other')] });
    const issues = checkWorkflow(definition, { isKnownAgent: () => true, parseExpression: () => undefined });
    expect(issues.map(({ path }) => path)).toEqual(['/nodes/0/concurrency/key']);
  });

  it.each([
    [{ key: '', limit: 1 }, 'key'],
    [{ key: 'a', limit: 0 }, 'limit'],
    [{ key: 'a', limit: 1.5 }, 'limit'],
  ])('%o has no meaning', (concurrency, field) => {
    const { error } = workflowDefinitionSchema.safeParse({ name: 'w', nodes: [node('n', { concurrency })] });
    expect(error?.issues.map(({ path }) => path)).toEqual([['nodes', 0, 'concurrency', field]]);
  });

  it('has no meaning for a node that only waits', () => {
    const nodes = [{ id: 'n', sleep: { forMs: 1 }, concurrency: { key: 'a', limit: 1 } }];
    expect(workflowDefinitionSchema.safeParse({ name: 'w', nodes }).error?.issues[0]?.path).toEqual(['nodes', 0, 'concurrency']);
  });
});
