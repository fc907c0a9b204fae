import { workflowDefinitionSchema } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { definitionOf, nodeIdOf } from './definition.ts';

describe('a symbolic id as a node id', () => {
  it.each([
    ['scan', 'scan'],
    ['scan-2_b', 'scan-2_b'],
    ['scan it!', 'scan_it_'],
    ['2nd', 'n_2nd'],
    ['_x', 'n__x'],
    ['größe', 'gr__e'],
    ['nodes', 'nodes_'],
    ['constructor', 'constructor_'],
    ['x'.repeat(100), 'x'.repeat(64)],
  ])('%s becomes %s', (symbol, id) => {
    expect(nodeIdOf(symbol)).toBe(id);
    expect(workflowDefinitionSchema.safeParse({ name: 'w', nodes: [{ id, agent: 'a' }] }).success).toBe(true);
  });
});

describe('a workflow of the facade', () => {
  const node = { agentId: 'agt_1', action: 'scan', inputsJson: { a: 1 }, dependsOn: [] as string[], approvalRequired: false };
  const agents = new Map([['agt_1', 'scanner']]);
  const translated = (nodes: (typeof node & { _symbolicId?: string })[]) =>
    definitionOf({ projectId: 1, name: 'w', trigger: { type: 'event', pattern: 'graph.*' }, description: null, nodes }, agents);

  it('keeps its trigger, names agents, and turns approvalRequired into an approval', () => {
    expect(translated([{ ...node, approvalRequired: true }])).toMatchObject({
      name: 'w',
      trigger: { type: 'event', pattern: 'graph.*' },
      nodes: [{ id: 'node-0', agent: 'scanner', action: 'scan', input: { a: 1 }, approval: true, needs: [] }],
    });
  });

  it('lets a node be named by its position as well as by its symbolic id, and once however often it is named', () => {
    const { nodes } = translated([
      { ...node, _symbolicId: 'a b' },
      { ...node, dependsOn: ['node-0', 'a b', 'a b'] },
    ]);
    expect(nodes[1]?.needs).toEqual(['a_b']);
  });

  it('prefers a symbolic id to a position of the same name', () => {
    const { nodes } = translated([
      { ...node },
      { ...node, _symbolicId: 'x' },
      { ...node, _symbolicId: 'node-1', dependsOn: ['node-0'] },
      { ...node, dependsOn: ['node-1'] },
    ]);
    expect(nodes[3]?.needs).toEqual(['node-1']);
    expect(nodes.map(({ id }) => id)).toEqual(['node-0', 'x', 'node-1', 'node-3']);
  });
});
