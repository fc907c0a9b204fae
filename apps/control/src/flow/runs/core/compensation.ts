/**
 * Undoing. A run that ends otherwise than well leaves a list of what to undo, the last deed first; another run of the
 * same version does that and nothing else, one after the other, each with its node's retries. Where one of them fails
 * the others are tried all the same, and the run is FAILED.
 */
import { type CompensationTask, HiveError, type JsonObject } from '@hivekeeper/contract';
import { at, type Draft } from './draft.ts';
import type { NodeState, Task } from './state.ts';
import { resolveTemplate, type Scope } from './templates/resolve.ts';

type Finished = Extract<NodeState, { readonly phase: 'finished' }>;

/** What a run that ends now has to undo: its own deeds, not those it carried over. */
export function compensationsOf({ run, rules }: Draft, scope: Scope): readonly CompensationTask[] {
  return run.nodes
    .flatMap((state, node) => (isDeed(state) && at(rules.plan.nodes, node).compensation !== undefined ? [{ state, node }] : []))
    .sort((a, b) => b.state.finishedAs - a.state.finishedAs)
    .flatMap(({ node }): CompensationTask[] => {
      const { definition, compensation } = at(rules.plan.nodes, node);
      if (compensation === undefined) return [];
      const { agent, action, input } = compensation;
      const of = { nodeId: definition.id, agent, ...(action !== undefined && { action }) };
      try {
        return [{ ...of, input: resolveTemplate(input, scope) as JsonObject }];
      } catch (error) {
        if (!HiveError.is(error)) throw error;
        return [{ ...of, error: { code: error.code, message: error.message } }];
      }
    });
}

const isDeed = (state: NodeState): state is Finished =>
  state.phase === 'finished' && state.status === 'SUCCESS' && state.isCarried !== true;

/** Makes a fresh run one that undoes: only what is on the list is to be done, and the first of it starts. */
export function beginUndoing(draft: Draft, tasks: readonly CompensationTask[]): void {
  const { run, rules, atMs } = draft;
  const listed = new Set(tasks.map(({ nodeId }) => nodeId));
  for (const [node, { definition }] of rules.plan.nodes.entries()) {
    if (listed.has(definition.id)) continue;
    run.nodes[node] = { phase: 'finished', status: 'SKIPPED', finishedAtMs: atMs, finishedAs: run.nodes.length - run.openNodeCount };
    run.openNodeCount -= 1;
  }
  startUndoing(draft, tasks[0]);
}

/** Goes on with the deed before. */
export function undoNext(draft: Draft, node: number): void {
  const { run, rules } = draft;
  const { id } = at(rules.plan.nodes, node).definition;
  const tasks = run.compensation ?? [];
  startUndoing(draft, tasks[tasks.findIndex(({ nodeId }) => nodeId === id) + 1]);
}

function startUndoing({ rules, moves }: Draft, task: CompensationTask | undefined): void {
  const node = task === undefined ? undefined : rules.plan.positionById.get(task.nodeId);
  if (node !== undefined) moves.push({ node, move: 'start' });
}

/** What undoes this node, in a run that undoes. @throws HiveError TEMPLATE_UNRESOLVED */
export function compensationTaskOf({ run, rules }: Draft, node: number): Task | undefined {
  const { id } = at(rules.plan.nodes, node).definition;
  const task = run.compensation?.find(({ nodeId }) => nodeId === id);
  if (task === undefined) return undefined;
  if ('error' in task) throw new HiveError('TEMPLATE_UNRESOLVED', task.error.message);
  return { input: task.input, instead: { agent: task.agent, action: task.action } };
}
