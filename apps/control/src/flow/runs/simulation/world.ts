import type { JsonObject, JsonValue, WorkflowInput } from '@hivekeeper/contract';

/** How a person answers, or that nobody does. */
export type Answer = 'approve' | 'reject' | 'expire';

/** What an attempt comes to. */
export type Result = 'ok' | 'fail' | 'time-out' | 'fail for good' | 'lose';

/** What an agent gives its ticket back for. */
export type Waiting =
  | { readonly waits: 'timer' | 'effect' }
  | { readonly waits: 'signal'; readonly comes: boolean }
  | { readonly waits: 'approval'; readonly answer: Answer }
  | { readonly waits: 'call'; readonly gate: Answer | 'none'; readonly script: Script };

/** What one execution of an agent does with each of its tickets; `ok` once the list is used up. */
export type Script = readonly (Result | Waiting)[];

/** What undoes a node. */
export interface Undoing {
  readonly isBroken: boolean;
  readonly gate: Answer | 'none';
  readonly script: Script;
}

/** What a node does. Lists have an entry per slot. */
export type Work =
  | {
      readonly kind: 'agent';
      readonly gate: Answer | 'none';
      /** True where the agent asks for the approval and not the workflow. */
      readonly isRisky: boolean;
      readonly onExpiry: 'fail' | 'skip' | 'approve';
      readonly scripts: readonly Script[];
      readonly undoing: Undoing | undefined;
    }
  /** A `shared` signal has no key, and may go to any node that waits for one. */
  | { readonly kind: 'wait'; readonly what: 'signal' | 'event' | 'shared'; readonly comes: readonly boolean[] }
  | { readonly kind: 'sleep'; readonly how: 'for' | 'until' | 'past' };

/** A node, and what the world will do to it. */
export interface SimulatedNode {
  readonly id: string;
  /** Nodes before it in the list. */
  readonly needs: readonly string[];
  readonly when: 'always' | 'never' | 'if the first need succeeded';
  /** Elements to map over; undefined for a plain node. */
  readonly mapCount: number | 'no array' | undefined;
  readonly isBroken: boolean;
  readonly onFailure: 'fail' | 'continue' | 'fallback';
  readonly maxAttempts: number;
  readonly backoffMs: number;
  readonly work: Work;
}

/** What happens to a run as a whole. */
export interface World {
  readonly start: 'at once' | 'queued';
  readonly end: 'by itself' | 'cancel' | 'deadline';
  /** How many steps go by before it is cancelled, and how long until the deadline. */
  readonly endAfter: number;
  /** The workflow lists its nodes the other way round. */
  readonly isReversed: boolean;
  /** What a run that goes on from a failed one starts from. */
  readonly goOn: 'from the failed' | 'from a node' | 'healed';
  readonly seed: number;
}

export const approvalMs = 10_000;
export const defaultApprovalMs = 86_400_000;
export const askedMs = 3_000;
export const signalMs = 5_000;
export const timerMs = 150;
export const sleepMs = 200;

/** Every template of the simulated workflows reads this. */
export const context: JsonObject = {
  lists: [[], [0], [0, 1], [0, 1, 2], 'none'],
  times: { until: '1970-01-01T00:00:03Z', past: 500 },
};

/** The two expressions that the simulated workflows use. */
export function evaluate(expression: string, scope: JsonObject): JsonValue {
  const [id = ''] = expression.split('.');
  return expression !== 'false' && (scope[id] as JsonObject)['status'] === 'SUCCESS';
}

/** The workflow an author would have written. */
export function workflowOf(nodes: readonly SimulatedNode[], { isReversed }: Pick<World, 'isReversed'>): WorkflowInput {
  const written = nodes.map((node) => ({ ...commonOf(node), ...workOf(node) }));
  return { name: 'simulated', nodes: isReversed ? written.reverse() : written };
}

function commonOf(node: SimulatedNode): Omit<WorkflowInput['nodes'][number], 'agent'> {
  const { id, needs, when, mapCount, isBroken, onFailure, maxAttempts, backoffMs } = node;
  const [first] = needs;
  return {
    id,
    needs: [...needs],
    input: {
      own: id,
      ...(isBroken && { broken: '{{ context.missing }}' }),
      ...(first !== undefined && { before: `{{ ${first}.output }}` }),
    },
    ...(when === 'never' && { when: 'false' }),
    ...(when === 'if the first need succeeded' && first !== undefined && { when: `${first}.status == "SUCCESS"` }),
    ...(mapCount !== undefined && { map: `{{ context.lists[${mapCount === 'no array' ? 4 : mapCount}] }}` }),
    onFailure,
    ...(onFailure === 'fallback' && { fallbackOutput: 'instead' }),
    retry: { maxAttempts, backoffMs },
  };
}

function workOf({ id, mapCount, work }: SimulatedNode): Partial<WorkflowInput['nodes'][number]> {
  switch (work.kind) {
    case 'agent': {
      const { gate, isRisky, onExpiry, undoing } = work;
      const input = { of: undoing?.isBroken === true ? `{{ ${id}.output.missing }}` : `{{ ${id}.output }}` };
      return {
        agent: 'agent',
        action: 'do',
        approval: gate !== 'none' && !isRisky && { expiresAfterMs: approvalMs, onExpiry, excludeRequester: true },
        ...(undoing !== undefined && { compensate: { agent: 'undoer', action: 'undo', input } }),
      };
    }
    case 'wait': {
      const key = { key: mapCount === undefined ? 'only' : '{{ item }}' };
      const named = { signal: { signal: id, ...key }, event: { event: id, ...key }, shared: { signal: 'shared' } };
      return { wait: { ...named[work.what], expiresAfterMs: signalMs } };
    }
    case 'sleep':
      return { sleep: work.how === 'for' ? { forMs: sleepMs } : { until: `{{ context.times.${work.how} }}` } };
  }
}

/** What a person will say where the agent asks for approval: the one that does the node, or the one that undoes it. */
export function gateOf(node: SimulatedNode | undefined, isUndoing: boolean): Answer | 'none' {
  if (node?.work.kind !== 'agent') return 'none';
  const { gate, isRisky, undoing } = node.work;
  return isUndoing ? (undoing?.gate ?? 'none') : isRisky ? gate : 'none';
}

/** Slots that a node has once it starts. */
export const slotCountOf = ({ mapCount }: SimulatedNode): number =>
  typeof mapCount === 'number' ? mapCount : mapCount === undefined ? 1 : 0;

/** A path names an execution (`n3.0`, `n3.undo`, `n3.0.2` for one that act 2 of `n3.0` called), or an act of one. */
export function scriptAt(nodes: ReadonlyMap<string, SimulatedNode>, path: string): Script {
  const [id = '', slot = '', ...acts] = path.split('.');
  const work = nodes.get(id)?.work;
  if (work?.kind !== 'agent') return [];
  let script = (slot === 'undo' ? work.undoing?.script : work.scripts[Number(slot)]) ?? [];
  for (const act of acts) {
    const called = script[Number(act)];
    script = typeof called === 'object' && called.waits === 'call' ? called.script : [];
  }
  return script;
}

/** The act at a path. */
export function actAt(nodes: ReadonlyMap<string, SimulatedNode>, path: string): Script[number] {
  const end = path.lastIndexOf('.');
  return scriptAt(nodes, path.slice(0, end))[Number(path.slice(end + 1))] ?? 'ok';
}

/** A signal that the world sends, or does not. `path` is the act or the slot that it is for. */
export interface SimulatedSignal {
  readonly path: string;
  readonly name: string;
  readonly key?: string;
  readonly comes: boolean;
}

/** Every signal that anything in the workflow may ever wait for. */
export const signalsOf = (nodes: readonly SimulatedNode[]): SimulatedSignal[] =>
  nodes.flatMap((node) => {
    const { work, id } = node;
    if (work.kind === 'wait') return Array.from({ length: slotCountOf(node) }, (_, slot) => signalOfSlot(node, slot));
    if (work.kind !== 'agent') return [];
    const { scripts, undoing } = work;
    return [
      ...scripts.slice(0, slotCountOf(node)).flatMap((script, slot) => signalsIn(script, `${id}.${slot}`)),
      ...signalsIn(undoing?.script ?? [], `${id}.undo`),
    ];
  });

/** The signal that a slot of a `wait` node waits for. */
export function signalOfSlot({ id, mapCount, work }: SimulatedNode, slot: number): SimulatedSignal {
  const path = `${id}.${slot}`;
  if (work.kind !== 'wait' || work.what === 'shared') return { path, name: 'shared', comes: true };
  const name = work.what === 'event' ? `event:${id}` : id;
  return { path, name, key: mapCount === undefined ? 'only' : String(slot), comes: work.comes[slot] === true };
}

/** The signal that an act waits for. */
export const signalOfAct = (path: string, comes: boolean): SimulatedSignal => ({ path, name: 'go', key: path, comes });

const signalsIn = (script: Script, path: string): SimulatedSignal[] =>
  script.flatMap((act, index) => {
    if (typeof act === 'string') return [];
    if (act.waits === 'signal') return [signalOfAct(`${path}.${index}`, act.comes)];
    return act.waits === 'call' ? signalsIn(act.script, `${path}.${index}`) : [];
  });
