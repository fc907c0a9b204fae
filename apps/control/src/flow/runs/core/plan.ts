import { type ApprovalRule, defaultApprovalRule, type NodeDefinition, type WorkflowDefinition } from '@hivekeeper/contract';
import type { NodeState } from './state.ts';
import { compileExpression, compileTemplate, type Expression, type Template } from './templates/template.ts';

/** What a node does. */
export type NodeWork =
  | { readonly kind: 'agent'; readonly agent: string; readonly action?: string | undefined }
  /** `name` is a signal's name, or `event:` and an event's. */
  | { readonly kind: 'wait'; readonly name: string; readonly key?: Template | undefined; readonly expiresAfterMs: number }
  | { readonly kind: 'sleep'; readonly forMs: number }
  | { readonly kind: 'sleep until'; readonly until: Template };

/** What undoes a node. */
export interface CompensationPlan {
  readonly agent: string;
  readonly action?: string | undefined;
  readonly input: Template;
}

/** What limits how many attempts of a node are under way. */
export interface ConcurrencyPlan {
  readonly key: Template;
  readonly limit: number;
}

/** A node with everything precomputed that deciding about it takes. */
export interface NodePlan {
  readonly definition: NodeDefinition;
  readonly work: NodeWork;
  /** Positions of the nodes that need this one. */
  readonly dependents: readonly number[];
  readonly input: Template;
  readonly when?: Expression | undefined;
  readonly map?: Template | undefined;
  /** Present where the workflow asks for approval. */
  readonly approval?: ApprovalRule | undefined;
  readonly compensation?: CompensationPlan | undefined;
  readonly concurrency?: ConcurrencyPlan | undefined;
}

/** A workflow version, read once and cached by the caller. */
export interface RunPlan {
  readonly definition: WorkflowDefinition;
  readonly nodes: readonly NodePlan[];
  readonly positionById: ReadonlyMap<string, number>;
  readonly initialNodes: readonly NodeState[];
  /** Present where the workflow names what its runs take turns at. */
  readonly turnKey?: Template | undefined;
}

/** Precomputes a workflow that `checkWorkflow` found to be sound. */
export function planOf(definition: WorkflowDefinition): RunPlan {
  const positionById = positionsOf(definition);
  const needs = definition.nodes.map((node) => [...new Set(node.needs)].flatMap((id) => positionById.get(id) ?? []));
  const dependents: number[][] = definition.nodes.map(() => []);
  for (const [node, needed] of needs.entries()) for (const need of needed) dependents[need]?.push(node);
  const nodes = definition.nodes.map((node, position) => ({ ...compileNode(node, positionById), dependents: dependents[position] ?? [] }));
  const initialNodes = nodes.map((node, position): NodeState => ({
    phase: 'waiting',
    unmetCount: needs[position]?.length ?? 0,
    isGated: node.approval !== undefined,
  }));
  const key = definition.concurrency?.key;
  const turnKey = key === undefined ? undefined : compileTemplate(key, positionById);
  return { definition, nodes, positionById, initialNodes, turnKey };
}

/** Where each id first stands in the workflow. */
export function positionsOf({ nodes }: WorkflowDefinition): Map<string, number> {
  const positionById = new Map<string, number>();
  for (const [position, { id }] of nodes.entries()) if (!positionById.has(id)) positionById.set(id, position);
  return positionById;
}

/** The templates and expressions of one node. */
export function compileNode(definition: NodeDefinition, positionById: ReadonlyMap<string, number>): Omit<NodePlan, 'dependents'> {
  const { approval, compensate, concurrency, input, map, when } = definition;
  return {
    definition,
    work: compileWork(definition, positionById),
    input: compileTemplate(input, positionById),
    when: when === undefined ? undefined : compileExpression(when, positionById),
    map: map === undefined ? undefined : compileTemplate(map, positionById),
    approval: approvalOf(approval),
    compensation: compensate === undefined ? undefined : { ...compensate, input: compileTemplate(compensate.input, positionById) },
    concurrency: concurrency === undefined ? undefined : { key: compileTemplate(concurrency.key, positionById), limit: concurrency.limit },
  };
}

/** A rule that was stored before it could say all this means what the defaults say. */
function approvalOf(approval: NodeDefinition['approval']): ApprovalRule | undefined {
  if (approval === undefined || approval === false) return undefined;
  return approval === true ? defaultApprovalRule : { ...defaultApprovalRule, ...approval };
}

function compileWork({ agent = '', action, wait, sleep }: NodeDefinition, positionById: ReadonlyMap<string, number>): NodeWork {
  if (wait !== undefined) {
    const { signal, event, key, expiresAfterMs } = wait;
    const name = signal ?? `event:${event}`;
    return { kind: 'wait', name, expiresAfterMs, key: key === undefined ? undefined : compileTemplate(key, positionById) };
  }
  if (sleep?.forMs !== undefined) return { kind: 'sleep', forMs: sleep.forMs };
  if (sleep?.until !== undefined) return { kind: 'sleep until', until: compileTemplate(sleep.until, positionById) };
  return { kind: 'agent', agent, action };
}
