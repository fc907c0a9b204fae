import { type Issue, mqttAgentIdIn, type NodeDefinition, type WorkflowDefinition } from '@hivekeeper/contract';
import { ancestryOf, circleIn, type Needs, orderOf } from './graph.ts';
import { compileNode, positionsOf } from './plan.ts';
import {
  compileTemplate,
  type Expression,
  expressionsIn,
  nodesIn,
  type PlacedExpression,
  type Template,
  usesItem,
} from './templates/template.ts';

/** What the check has to be told about the world. */
export interface CheckPorts {
  readonly isKnownAgent: (name: string) => boolean;
  /** Why a CEL expression does not parse; undefined where it does. */
  readonly parseExpression: (text: string) => string | undefined;
}

// Of a long circle so many nodes are named.
const namedNodeCount = 20;

/**
 * Everything that is wrong with a workflow, each with the JSON pointer to it; empty where it can run. Cost grows with
 * nodes plus needs, whatever the shape: hostile chains and circles of 10,000 nodes take some milliseconds.
 */
export function checkWorkflow(definition: WorkflowDefinition, ports: CheckPorts): Issue[] {
  const positionById = positionsOf(definition);
  const needs = definition.nodes.map((node, position) => knownNeeds(node, position, positionById));
  const order = orderOf(needs);
  const circle = circleIn(needs, order);
  // On a circle nobody comes before anybody; saying so once is enough.
  const isAncestor = lazily(() => (circle === undefined ? ancestryOf(needs, order) : () => true));
  const checked: Checked = { definition, ports, positionById, needs, isAncestor };
  return [
    ...definition.nodes.flatMap((node, position) => nodeIssues(checked, node, position)),
    ...circleIssues(definition, circle),
    ...definition.nodes.flatMap((node, position) => templateIssues(checked, node, position)),
    ...concurrencyIssues(checked),
  ];
}

interface Checked {
  readonly definition: WorkflowDefinition;
  readonly ports: CheckPorts;
  readonly positionById: ReadonlyMap<string, number>;
  readonly needs: Needs;
  readonly isAncestor: () => (node: number, ancestor: number) => boolean;
}

function lazily<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

function knownNeeds({ needs }: NodeDefinition, own: number, positionById: ReadonlyMap<string, number>): number[] {
  return [...new Set(needs)].flatMap((id) => positionById.get(id) ?? []).filter((position) => position !== own);
}

function nodeIssues({ ports, positionById }: Checked, node: NodeDefinition, position: number): Issue[] {
  const { id, agent, compensate, needs } = node;
  const issues: Issue[] = agent === undefined || mqttAgentIdIn(agent) === undefined ? [] : overMqttIssues(node, position);
  const first = positionById.get(id);
  if (first !== position) issues.push({ path: `/nodes/${position}/id`, message: `node ${first} has the id "${id}" already` });
  for (const [field, name] of [
    ['agent', agent],
    ['compensate/agent', compensate?.agent],
  ] as const)
    if (name !== undefined && !ports.isKnownAgent(name))
      issues.push({ path: `/nodes/${position}/${field}`, message: `no agent "${name}" is registered` });
  for (const [index, need] of needs.entries()) {
    const path = `/nodes/${position}/needs/${index}`;
    if (need === id) issues.push({ path, message: `node "${id}" needs itself` });
    else if (!positionById.has(need)) issues.push({ path, message: `there is no node "${need}"` });
  }
  return issues;
}

function overMqttIssues({ action, requires }: NodeDefinition, position: number): Issue[] {
  const issues: Issue[] = [];
  if (action !== undefined)
    issues.push({ path: `/nodes/${position}/action`, message: 'an agent over MQTT has no actions; input.instruction tells it what to do' });
  if (requires !== undefined)
    issues.push({ path: `/nodes/${position}/requires`, message: 'only workers have labels, and an agent over MQTT runs on none' });
  return issues;
}

function circleIssues({ nodes }: WorkflowDefinition, circle: readonly number[] | undefined): Issue[] {
  const [start] = circle ?? [];
  if (circle === undefined || start === undefined) return [];
  const ids = circle.slice(0, namedNodeCount).map((node) => nodes[node]?.id);
  const rest = circle.length > namedNodeCount ? [`… (${circle.length} nodes)`] : [];
  return [
    {
      path: `/nodes/${start}/needs`,
      message: `these nodes need each other in a circle: ${[...ids, ...rest, nodes[start]?.id].join(' → ')}`,
    },
  ];
}

function templateIssues(checked: Checked, node: NodeDefinition, position: number): Issue[] {
  const plan = compileNode(node, checked.positionById);
  const pointer = `/nodes/${position}`;
  const issues: Issue[] = [];
  if (plan.map !== undefined && plan.map.kind !== 'whole')
    issues.push({ path: `${pointer}/map`, message: 'must be one template and nothing else: {{ scan.output.files }}' });
  for (const { placed, ...reach } of placesOf(plan, pointer))
    for (const { pointer: path, expression } of placed) {
      const message = expressionFault(checked, { ...reach, node: position }, expression);
      if (message !== undefined) issues.push({ path, message: `${expression.text}: ${message}` });
    }
  return issues;
}

/** What an expression of a node may name besides the context and the nodes before. */
interface Reach {
  /** The element of `map`. */
  readonly hasItem: boolean;
  /** The node's own output: what undoes a node is resolved after it succeeded. */
  readonly hasOwn?: boolean;
}

/** Every expression of a node, by where it stands. */
function placesOf(
  { when, map, input, concurrency, work, compensation }: ReturnType<typeof compileNode>,
  pointer: string,
): readonly (Reach & { readonly placed: readonly PlacedExpression[] })[] {
  const inside = (field: string, template: Template | undefined) =>
    template === undefined ? [] : expressionsIn(template, `${pointer}/${field}`);
  const hasItem = map !== undefined;
  return [
    { hasItem: false, placed: when === undefined ? [] : [{ pointer: `${pointer}/when`, expression: when }] },
    { hasItem: false, placed: inside('map', map) },
    { hasItem, placed: inside('input', input) },
    { hasItem, placed: inside('concurrency/key', concurrency?.key) },
    { hasItem, placed: work.kind === 'wait' ? inside('wait/key', work.key) : [] },
    { hasItem, placed: work.kind === 'sleep until' ? inside('sleep/until', work.until) : [] },
    { hasItem: false, hasOwn: true, placed: inside('compensate/input', compensation?.input) },
  ];
}

function concurrencyIssues({ definition, positionById, ports }: Checked): Issue[] {
  const key = definition.concurrency?.key;
  if (key === undefined) return [];
  return expressionsIn(compileTemplate(key, positionById), '/concurrency/key').flatMap(({ pointer, expression }) => {
    const message = turnKeyFault(expression, ports);
    return message === undefined ? [] : [{ path: pointer, message: `${expression.text}: ${message}` }];
  });
}

function turnKeyFault(expression: Expression, ports: CheckPorts): string | undefined {
  if (expression.kind === 'defect') return expression.reason;
  if (usesItem(expression) || nodesIn(expression).length > 0) return 'only the context is there when a run takes its turn';
  return expression.kind === 'cel' ? ports.parseExpression(expression.text) : undefined;
}

function expressionFault(
  checked: Checked,
  { node: position, hasItem, hasOwn = false }: Reach & { readonly node: number },
  expression: Expression,
): string | undefined {
  if (expression.kind === 'defect') return expression.reason;
  if (usesItem(expression) && !hasItem) return '"item" exists only in the input of a node with "map"';
  const stranger = nodesIn(expression).find((node) => !(hasOwn && node === position) && !isNeeded(checked, position, node));
  if (stranger !== undefined)
    return `node "${checked.definition.nodes[stranger]?.id}" is not among the needs, nor among theirs: it may not have run yet`;
  return expression.kind === 'cel' ? checked.ports.parseExpression(expression.text) : undefined;
}

function isNeeded({ needs, isAncestor }: Checked, node: number, ancestor: number): boolean {
  return needs[node]?.includes(ancestor) === true || isAncestor()(node, ancestor);
}
