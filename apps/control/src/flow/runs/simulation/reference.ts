/**
 * The reference: what must become of every node, from its definition and its script alone. It knows no events, no time
 * and no order in which things happen.
 */
import type { CompensationTask, JsonValue, NodeStatus } from '@hivekeeper/contract';
import { type Answer, type Result, scriptAt, type SimulatedNode, slotCountOf, type Waiting } from './world.ts';

/** How a node ends; `code` is that of its failure. */
export interface End {
  readonly status: NodeStatus;
  readonly code?: string | undefined;
  readonly output?: JsonValue | undefined;
}

export const codeOf = { fail: 'AGENT_FAILED', 'time-out': 'NODE_TIMED_OUT', 'fail for good': 'AGENT_INPUT_SCHEMA' } as const;

const refusals = { reject: 'APPROVAL_REJECTED', expire: 'APPROVAL_EXPIRED' } as const;

/** What a step that was waited for comes to, or an execution. */
export type Fate = { readonly output: JsonValue } | { readonly code: string };

/** The attempt that ends an execution, and what it comes to. */
export function fateOf(nodes: ReadonlyMap<string, SimulatedNode>, path: string): { readonly attempt: number; readonly fate: Fate } {
  const script = scriptAt(nodes, path);
  const maxAttempts = nodes.get(path.split('.')[0] ?? '')?.maxAttempts ?? 1;
  let [failureCount, lossCount] = [0, 0];
  for (const [index, act] of script.entries()) {
    if (typeof act === 'object') continue;
    const attempt = index + 1;
    if (act === 'ok') return { attempt, fate: { output: path } };
    if (act === 'lose') {
      lossCount += 1;
      if (lossCount === 5) return { attempt, fate: { code: 'LEASE_LOST_TOO_OFTEN' } };
      continue;
    }
    failureCount += 1;
    if (act === 'fail for good' || failureCount === maxAttempts) return { attempt, fate: { code: codeOf[act] } };
  }
  return { attempt: script.length + 1, fate: { output: path } };
}

/** What an execution finds in its memo at an attempt. */
export const memoOf = (nodes: ReadonlyMap<string, SimulatedNode>, path: string, attempt: number): { step: string; fate: Fate }[] =>
  scriptAt(nodes, path)
    .slice(0, attempt - 1)
    .flatMap((act: Result | Waiting, index) => {
      const step = `${path}.${index}`;
      if (typeof act === 'string' || act.waits === 'effect') return [];
      return [{ step, fate: fateOfWait(nodes, step, act) }];
    });

const answers = {
  approve: { approved: true, decision: 'APPROVED', by: 'ann' },
  reject: { approved: false, decision: 'REJECTED', by: 'ann' },
  expire: { approved: false, decision: 'EXPIRED' },
} as const satisfies Record<Answer, JsonValue>;

function fateOfWait(nodes: ReadonlyMap<string, SimulatedNode>, step: string, act: Waiting): Fate {
  if (act.waits === 'approval') return { output: answers[act.answer] };
  if (act.waits === 'signal') return act.comes ? { output: `to ${step}` } : { code: 'SIGNAL_EXPIRED' };
  if (act.waits !== 'call') return { output: null };
  return act.gate === 'none' || act.gate === 'approve' ? fateOf(nodes, step).fate : { code: refusals[act.gate] };
}

/**
 * How every node may end; `given` are the ends that an earlier run had already. There is more than one only where several
 * slots of a node fail: whichever is first gives its failure to the node.
 */
export function endsOf(nodes: readonly SimulatedNode[], given: ReadonlyMap<string, End> = new Map()): ReadonlyMap<string, readonly End[]> {
  const ends = new Map<string, readonly End[]>();
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (const node of nodes) {
    const end = given.get(node.id);
    ends.set(node.id, end === undefined ? endsOfNode(node, byId, ends) : [end]);
  }
  return ends;
}

/** True where what depends on the node goes on. */
export const isSatisfied = (node: SimulatedNode | undefined, status: NodeStatus | undefined): boolean =>
  status === 'SUCCESS' || (isFailure(status) && node?.onFailure !== 'fail');

export const isFailure = (status: NodeStatus | undefined): boolean => status === 'FAILED' || status === 'TIMED_OUT';

function endsOfNode(
  node: SimulatedNode,
  byId: ReadonlyMap<string, SimulatedNode>,
  ends: ReadonlyMap<string, readonly End[]>,
): readonly End[] {
  const { needs, when, mapCount, isBroken } = node;
  const statusOf = (id: string) => ends.get(id)?.[0]?.status;
  const [first] = needs;
  if (!needs.every((id) => isSatisfied(byId.get(id), statusOf(id))) || when === 'never') return [{ status: 'SKIPPED' }];
  if (when === 'if the first need succeeded' && first !== undefined && statusOf(first) !== 'SUCCESS') return [{ status: 'SKIPPED' }];
  if (mapCount === 'no array') return [failed(node, 'MAP_NOT_ARRAY')];
  if (mapCount === 0) return [{ status: 'SUCCESS', output: [] }];
  if (isBroken) return [failed(node, 'TEMPLATE_UNRESOLVED')];
  const refused = refusalOf(node);
  if (refused !== undefined) return [refused];
  const fates = Array.from({ length: slotCountOf(node) }, (_, slot) => fateOfSlot(node, slot, byId));
  const failures = fates.flatMap((fate) => ('code' in fate ? [failed(node, fate.code)] : []));
  if (failures.length > 0) return failures;
  const outputs = fates.map((fate) => ('output' in fate ? fate.output : null));
  return [{ status: 'SUCCESS', output: mapCount === undefined ? outputs[0] : outputs }];
}

const failed = ({ onFailure }: SimulatedNode, code: string): End => ({
  status: code === 'NODE_TIMED_OUT' ? 'TIMED_OUT' : 'FAILED',
  code,
  output: onFailure === 'fallback' ? 'instead' : undefined,
});

function refusalOf(node: SimulatedNode): End | undefined {
  const { work } = node;
  if (work.kind !== 'agent' || work.gate === 'none' || work.gate === 'approve') return undefined;
  if (work.gate === 'reject' || work.isRisky || work.onExpiry === 'fail') return failed(node, refusals[work.gate]);
  return work.onExpiry === 'skip' ? { status: 'SKIPPED' } : undefined;
}

function fateOfSlot({ id, work }: SimulatedNode, slot: number, byId: ReadonlyMap<string, SimulatedNode>): Fate {
  const path = `${id}.${slot}`;
  if (work.kind === 'agent') return fateOf(byId, path).fate;
  if (work.kind === 'sleep') return { output: null };
  return work.what === 'shared' || work.comes[slot] === true ? { output: `to ${path}` } : { code: 'SIGNAL_EXPIRED' };
}

/** The nodes that a run that goes on from another one need not do again. */
export function keptOf(nodes: readonly SimulatedNode[], ends: ReadonlyMap<string, End>, from?: string): ReadonlySet<string> {
  const kept = new Set<string>();
  for (const { id, needs, onFailure } of nodes) {
    const status = ends.get(id)?.status;
    const isDone = status !== 'CANCELLED' && !(isFailure(status) && onFailure === 'fail');
    if (isDone && id !== from && needs.every((need) => kept.has(need))) kept.add(id);
  }
  return kept;
}

/** What is to be undone, given how the nodes ended, first to last. */
export const undoListOf = (nodes: ReadonlyMap<string, SimulatedNode>, ended: ReadonlyMap<string, End>): CompensationTask[] =>
  [...ended].reverse().flatMap(([nodeId, { status, output }]): CompensationTask[] => {
    const work = nodes.get(nodeId)?.work;
    if (status !== 'SUCCESS' || work?.kind !== 'agent' || work.undoing === undefined) return [];
    const of = { nodeId, agent: 'undoer', action: 'undo' };
    if (work.undoing.isBroken) return [{ ...of, error: { code: 'TEMPLATE_UNRESOLVED', message: '' } }];
    return [{ ...of, input: { of: output ?? null } }];
  });

/** How the nodes of a run that undoes that list end. */
export function endsOfUndoing(nodes: readonly SimulatedNode[], tasks: readonly CompensationTask[]): ReadonlyMap<string, readonly End[]> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const taskById = new Map(tasks.map((task) => [task.nodeId, task]));
  return new Map(nodes.map((node) => [node.id, [endOfUndoing(node, taskById.get(node.id), byId)]]));
}

function endOfUndoing(node: SimulatedNode, task: CompensationTask | undefined, byId: ReadonlyMap<string, SimulatedNode>): End {
  if (task === undefined || node.work.kind !== 'agent') return { status: 'SKIPPED' };
  if ('error' in task) return failed(node, 'TEMPLATE_UNRESOLVED');
  const gate = node.work.undoing?.gate ?? 'none';
  if (gate === 'reject' || gate === 'expire') return failed(node, refusals[gate]);
  const { fate } = fateOf(byId, `${node.id}.undo`);
  return 'code' in fate ? failed(node, fate.code) : { status: 'SUCCESS', output: fate.output };
}
