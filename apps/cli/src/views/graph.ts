/** A workflow as a picture: a tree for terminals, Mermaid for documents. Draws what is written, also where it is not valid. */
import type { WorkflowInput } from '@hivekeeper/contract';
import { durationText } from './words.ts';

type Node = WorkflowInput['nodes'][number];

/** Each node once, below the last of its needs that is drawn; its other needs are named beside it. */
export function graphTree({ name, nodes }: WorkflowInput): string {
  const children = Map.groupBy(inOrder(nodes), ({ parent }) => parent);
  const lines = [name];
  const pending = (children.get(undefined) ?? [])
    .map((entry, index, all) => ({ entry, prefix: '', isLast: index === all.length - 1 }))
    .reverse();
  for (let item = pending.pop(); item !== undefined; item = pending.pop()) {
    const { entry, prefix, isLast } = item;
    lines.push(`${prefix}${isLast ? '└─' : '├─'} ${labelOf(entry.node, entry.parent)}`);
    const below = `${prefix}${isLast ? '   ' : '│  '}`;
    const next = (children.get(entry.node.id) ?? []).map((child, index, all) => ({
      entry: child,
      prefix: below,
      isLast: index === all.length - 1,
    }));
    pending.push(...next.reverse());
  }
  const drawn = new Set([...children.values()].flat().map(({ node }) => node.id));
  const left = nodes.filter(({ id }) => !drawn.has(id)).map(({ id }) => id);
  return [...lines, ...(left.length === 0 ? [] : [`never reached (a cycle, or an unknown node): ${left.join(', ')}`])].join('\n');
}

interface Placed {
  readonly node: Node;
  /** The need that is drawn last; undefined for a node that needs nothing. */
  readonly parent: string | undefined;
}

/** The nodes in an order in which each comes after all its needs; what waits for itself or for nothing known is left out. */
function inOrder(nodes: readonly Node[]): Placed[] {
  const open = new Map(nodes.map((node) => [node.id, new Set(node.needs).size]));
  const dependents = Map.groupBy(
    nodes.flatMap((node) => [...new Set(node.needs)].map((need) => ({ need, node }))),
    ({ need }) => need,
  );
  const placed: Placed[] = nodes.filter(({ id }) => open.get(id) === 0).map((node) => ({ node, parent: undefined }));
  for (const { node } of placed) {
    for (const dependent of dependents.get(node.id) ?? []) {
      const count = (open.get(dependent.node.id) ?? 0) - 1;
      open.set(dependent.node.id, count);
      if (count === 0) placed.push({ node: dependent.node, parent: node.id });
    }
  }
  return placed;
}

function labelOf(node: Node, parent: string | undefined): string {
  const others = (node.needs ?? []).filter((need) => need !== parent);
  const marks = [
    node.map === undefined ? '' : 'per element',
    node.when === undefined ? '' : `when ${node.when}`,
    node.approval ? 'after approval' : '',
    node.requires === undefined ? '' : `on ${node.requires.join(', ')}`,
    others.length === 0 ? '' : `also needs ${others.join(', ')}`,
  ].filter((mark) => mark !== '');
  return `${node.id}  ${workOf(node)}${marks.length === 0 ? '' : `  (${marks.join('; ')})`}`;
}

function workOf({ agent, action, wait, sleep }: Node): string {
  if (agent !== undefined) return action === undefined ? agent : `${agent}.${action}`;
  if (wait !== undefined) return wait.signal === undefined ? `waits for event ${wait.event}` : `waits for signal ${wait.signal}`;
  return sleep?.forMs === undefined ? `sleeps until ${sleep?.until}` : `sleeps ${durationText(sleep.forMs)}`;
}

/** The workflow as a Mermaid flowchart. */
export function mermaidText({ nodes }: WorkflowInput): string {
  const ordinals = new Map(nodes.map(({ id }, index) => [id, `n${index}`]));
  const quoted = (text: string) => text.replaceAll('"', '#quot;');
  const boxes = nodes.map((node) => {
    const [open, close] = node.approval ? ['{{', '}}'] : ['[', ']'];
    const place = node.requires === undefined ? '' : `<br/>on ${node.requires.join(', ')}`;
    return `  ${ordinals.get(node.id)}${open}"${quoted(node.id)}<br/>${quoted(workOf(node))}${quoted(place)}"${close}`;
  });
  const arrows = nodes.flatMap((node) =>
    (node.needs ?? [])
      .filter((need) => ordinals.has(need))
      .map((need) => `  ${ordinals.get(need)} -->${node.when === undefined ? '' : '|when|'} ${ordinals.get(node.id)}`),
  );
  return ['flowchart LR', ...boxes, ...arrows].join('\n');
}
