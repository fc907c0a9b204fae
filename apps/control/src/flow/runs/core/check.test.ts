import { type Issue, workflowDefinitionSchema } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { createExpressions } from '../expressions.ts';
import { checkWorkflow } from './index.ts';
import { node, type NodeInput } from './run-under-test.ts';

const expressions = createExpressions();
const ports = { isKnownAgent: (name: string) => name === 'worker', parseExpression: (text: string) => expressions.parse(text) };
const check = (nodes: NodeInput[]) => checkWorkflow(workflowDefinitionSchema.parse({ name: 'test', nodes }), ports);

describe('a workflow that can run', () => {
  it('has no issues', () => {
    expect(
      check([
        node('list', { input: { dir: '{{ context.dir }}' } }),
        node('scan', {
          needs: ['list'],
          map: '{{ list.output.files }}',
          input: { file: '{{ item }}', at: '{{ size(item) }}' },
          when: 'list.output.total > 0',
        }),
        node('report', {
          needs: ['scan'],
          input: { text: 'of {{ nodes.list.output.dir }}', found: '{{ scan.output.exists(s, s.total > 0) }}', id: '{{ run.id }}' },
          compensate: { agent: 'worker', input: { report: '{{ report.output.id }}', of: '{{ list.output.dir }}' } },
        }),
        { id: 'paid', needs: ['scan'], map: '{{ scan.output }}', wait: { signal: 'paid', key: '{{ item.id }}' } },
        { id: 'later', needs: ['list'], sleep: { until: '{{ list.output.at }}' } },
      ]),
    ).toEqual([]);
  });
});

describe('a workflow that cannot run', () => {
  it.each<[string, NodeInput[], Issue]>([
    ['a repeated id', [node('a'), node('b'), node('a')], { path: '/nodes/2/id', message: 'node 0 has the id "a" already' }],
    ['an unknown agent', [node('a', { agent: 'ghost' })], { path: '/nodes/0/agent', message: 'no agent "ghost" is registered' }],
    ['an unknown need', [node('a'), node('b', { needs: ['a', 'zz'] })], { path: '/nodes/1/needs/1', message: 'there is no node "zz"' }],
    ['a node that needs itself', [node('a', { needs: ['a'] })], { path: '/nodes/0/needs/0', message: 'node "a" needs itself' }],
    [
      'a circle',
      [
        node('start'),
        node('a', { needs: ['start', 'c'] }),
        node('b', { needs: ['a'] }),
        node('c', { needs: ['b'] }),
        node('behind', { needs: ['c'] }),
      ],
      { path: '/nodes/1/needs', message: 'these nodes need each other in a circle: a → c → b → a' },
    ],
    [
      'a node used but not needed',
      [node('a'), node('b', { input: { x: ['{{ a.output }}'] } })],
      { path: '/nodes/1/input/x/0', message: 'a.output: node "a" is not among the needs, nor among theirs: it may not have run yet' },
    ],
    [
      'a node used in an expression but not needed',
      [node('a'), node('b', { when: 'nodes.a.output.total > 0' })],
      {
        path: '/nodes/1/when',
        message: 'nodes.a.output.total > 0: node "a" is not among the needs, nor among theirs: it may not have run yet',
      },
    ],
    [
      'a node that uses itself',
      [node('a', { input: { x: '{{ a.output }}' } })],
      { path: '/nodes/0/input/x', message: 'a.output: node "a" is not among the needs, nor among theirs: it may not have run yet' },
    ],
    [
      'an unknown root',
      [node('a', { input: { x: '{{ env.HOME }}' } })],
      { path: '/nodes/0/input/x', message: 'env.HOME: "env" is neither context, nodes, item, run nor the id of a node' },
    ],
    [
      'an item without map',
      [node('a', { input: { x: '{{ item }}' } })],
      { path: '/nodes/0/input/x', message: 'item: "item" exists only in the input of a node with "map"' },
    ],
    [
      'an item in map itself',
      [node('a', { map: '{{ item.list }}' })],
      { path: '/nodes/0/map', message: 'item.list: "item" exists only in the input of a node with "map"' },
    ],
    [
      'an item in when',
      [node('a', { map: '{{ context.list }}', when: 'item > 1' })],
      { path: '/nodes/0/when', message: 'item > 1: "item" exists only in the input of a node with "map"' },
    ],
    [
      'a map that is no template',
      [node('a', { map: 'context.list' })],
      { path: '/nodes/0/map', message: 'must be one template and nothing else: {{ scan.output.files }}' },
    ],
    [
      'a `when` that does not parse',
      [node('a', { when: 'context.x >' })],
      { path: '/nodes/0/when', message: 'context.x >: Unexpected token: EOF' },
    ],
    [
      'a template that does not parse',
      [node('a', { input: { 'a/b': '{{ context..x }}' } })],
      { path: '/nodes/0/input/a~1b', message: 'context..x: Expected IDENTIFIER, got DOT' },
    ],
    [
      'a function that does not exist',
      [node('a', { when: 'now() > 1' })],
      { path: '/nodes/0/when', message: "now() > 1: found no matching overload for 'now()'" },
    ],
    [
      'a key to wait for that names a node not needed',
      [node('a'), { id: 'b', wait: { event: 'paid', key: '{{ a.output.id }}' } }],
      { path: '/nodes/1/wait/key', message: 'a.output.id: node "a" is not among the needs, nor among theirs: it may not have run yet' },
    ],
    [
      'a time to sleep until that does not parse',
      [{ id: 'a', sleep: { until: '{{ context..at }}' } }],
      { path: '/nodes/0/sleep/until', message: 'context..at: Expected IDENTIFIER, got DOT' },
    ],
    [
      'an item in what undoes a node',
      [node('a', { map: '{{ context.list }}', compensate: { agent: 'worker', input: { id: '{{ item }}' } } })],
      { path: '/nodes/0/compensate/input/id', message: 'item: "item" exists only in the input of a node with "map"' },
    ],
    [
      'an undoing that names a node not needed',
      [node('a', { compensate: { agent: 'worker', input: { id: '{{ b.output.id }}' } } }), node('b', { needs: ['a'] })],
      {
        path: '/nodes/0/compensate/input/id',
        message: 'b.output.id: node "b" is not among the needs, nor among theirs: it may not have run yet',
      },
    ],
    [
      'an unclosed template',
      [node('a', { input: { x: 'y {{ context.x' } })],
      { path: '/nodes/0/input/x', message: '{{ context.x: "{{" has no matching "}}"' },
    ],
  ])('is refused for %s', (_, nodes, issue) => {
    expect(check(nodes)).toEqual([issue]);
  });

  it('is told everything at once', () => {
    const issues = check([node('a', { agent: 'ghost', needs: ['zz'] }), node('a', { when: '1 +' })]);
    expect(issues.map((issue) => issue.path)).toEqual(['/nodes/0/agent', '/nodes/0/needs/0', '/nodes/1/id', '/nodes/1/when']);
  });
});

describe('large workflows', () => {
  const chain = (first: Partial<NodeInput>) =>
    Array.from({ length: 10_000 }, (_, index) =>
      node(`n${index}`, index === 0 ? first : { needs: [`n${index - 1}`], input: { x: '{{ n0.output }}' } }),
    );

  it('of 10,000 nodes in a chain, each using the first, are checked', () => {
    expect(check(chain({}))).toEqual([]);
  });

  it('of 10,000 nodes in one circle are refused with one issue that names where to look', () => {
    const issues = check(chain({ needs: ['n9999'] }));
    expect(issues).toHaveLength(1);
    expect(issues[0]?.path).toBe('/nodes/0/needs');
    expect(issues[0]?.message).toMatch(/^these nodes need each other in a circle: n0 → n9999 → n9998 → .* → … \(10000 nodes\) → n0$/);
  });
});

describe('the key that runs take turns at', () => {
  const issuesOf = (key: string) =>
    checkWorkflow(workflowDefinitionSchema.parse({ name: 'test', nodes: [node('scan')], concurrency: { key, limit: 1 } }), ports).map(
      ({ path, message }) => `${path} ${message}`,
    );

  it('may name the context', () => {
    expect(issuesOf('customer-{{ context.customer }}')).toEqual([]);
    expect(issuesOf('{{ string(size(context.files)) }}')).toEqual([]);
  });

  it.each([
    ['{{ scan.output.total }}', 'scan.output.total: only the context is there when a run takes its turn'],
    ['{{ item }}', 'item: only the context is there when a run takes its turn'],
    ['{{ nodes.ghost.output }}', 'nodes.ghost.output: there is no node "ghost"'],
    ['{{ context.a', '{{ context.a: "{{" has no matching "}}"'],
  ])('may not be %s', (key, message) => {
    expect(issuesOf(key)).toEqual([`/concurrency/key ${message}`]);
  });
});
