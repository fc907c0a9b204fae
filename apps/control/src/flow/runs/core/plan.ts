import type { NodeDefinition, WorkflowDefinition } from '@hivekeeper/contract';
import type { NodeState } from './state.ts';
import { compileExpression, compileTemplate, type Expression, type Template } from './templates/template.ts';

/** A node with everything precomputed that deciding about it takes. */
export interface NodePlan {
  readonly definition: NodeDefinition;
  /** Positions of the nodes that need this one. */
  readonly dependents: readonly number[];
  readonly input: Template;
  readonly when?: Expression | undefined;
  readonly map?: Template | undefined;
  /** Present where the workflow asks for approval. */
  readonly approval?: ApprovalRule | undefined;
}

/** How an approval is asked for. */
export interface ApprovalRule {
  readonly message?: string | undefined;
  readonly expiresAfterMs: number;
}

/** A workflow version, read once and cached by the caller. */
export interface RunPlan {
  readonly definition: WorkflowDefinition;
  readonly nodes: readonly NodePlan[];
  readonly positionById: ReadonlyMap<string, number>;
  readonly initialNodes: readonly NodeState[];
}

/** What holds where a workflow, or an agent, asks for approval without saying more. */
export const defaultApproval: ApprovalRule = { expiresAfterMs: 86_400_000 };

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
  return { definition, nodes, positionById, initialNodes };
}

/** Where each id first stands in the workflow. */
export function positionsOf({ nodes }: WorkflowDefinition): Map<string, number> {
  const positionById = new Map<string, number>();
  for (const [position, { id }] of nodes.entries()) if (!positionById.has(id)) positionById.set(id, position);
  return positionById;
}

/** The templates and expressions of one node. */
export function compileNode(definition: NodeDefinition, positionById: ReadonlyMap<string, number>): Omit<NodePlan, 'dependents'> {
  const { approval, input, map, when } = definition;
  return {
    definition,
    input: compileTemplate(input, positionById),
    when: when === undefined ? undefined : compileExpression(when, positionById),
    map: map === undefined ? undefined : compileTemplate(map, positionById),
    approval: approval === true ? defaultApproval : approval || undefined,
  };
}
