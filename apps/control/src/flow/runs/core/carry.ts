import type { CarriedNode } from '@hivekeeper/contract';
import type { NodePlan, RunPlan } from './plan.ts';
import type { NodeState, RunState } from './state.ts';

/**
 * What a new run of the same version need not do again. Done again is what failed the run, what had not ended, the node
 * `from` where it is named, and everything that depends on one of these.
 */
export function carriedFrom(state: RunState, plan: RunPlan, from?: string): CarriedNode[] {
  const again = new Set<number>();
  const queue = plan.nodes.flatMap((nodePlan, node) =>
    nodePlan.definition.id === from || !isSettled(state.nodes[node], nodePlan) ? [node] : [],
  );
  for (let next = 0; next < queue.length; next += 1) {
    const node = queue[next] as number;
    if (again.has(node)) continue;
    again.add(node);
    queue.push(...(plan.nodes[node]?.dependents ?? []));
  }
  return plan.nodes.flatMap(({ definition }, node): CarriedNode[] => {
    const end = state.nodes[node];
    if (again.has(node) || end?.phase !== 'finished' || end.status === 'CANCELLED') return [];
    const { status, output, error } = end;
    return [{ nodeId: definition.id, status, ...(output !== undefined && { output }), ...(error !== undefined && { error }) }];
  });
}

/** True where the node's end did not fail the run. */
function isSettled(state: NodeState | undefined, { definition }: NodePlan): boolean {
  if (state?.phase !== 'finished' || state.status === 'CANCELLED') return false;
  return state.status === 'SUCCESS' || state.status === 'SKIPPED' || definition.onFailure !== 'fail';
}
