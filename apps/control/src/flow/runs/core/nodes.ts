import {
  type ApprovalRule,
  defaultApprovalRule,
  type Failure,
  HiveError,
  type JsonObject,
  type JsonValue,
  maxMapSlots,
  maxWaitMs,
} from '@hivekeeper/contract';
import { compensationTaskOf, undoNext } from './compensation.ts';
import { at, type Draft, nodeIdAt } from './draft.ts';
import { issueTicket, maxTicketsPerRun, requestApproval, revokeTicket, tooLarge } from './ledger.ts';
import type { ConcurrencyPlan } from './plan.ts';
import type { FinalStatus, NodeState, SlotPlace, SlotState, Task } from './state.ts';
import { resolveTemplate, type Scope, unresolved, valueOf } from './templates/resolve.ts';
import { endWait, suspend, timeOf } from './waits.ts';

// As long as a signal's key may be.
const maxKeyLength = 500;

/** Starts a node whose needs are satisfied. */
export function startNode(draft: Draft, node: number): void {
  let tasks: readonly Task[] | undefined;
  try {
    tasks = tasksOf(draft, node);
  } catch (error) {
    if (!HiveError.is(error)) throw error;
    failNode(draft, node, { code: error.code, message: error.message });
    return;
  }
  if (tasks === undefined) finishNode(draft, node, { status: 'SKIPPED' });
  else if (isGated(draft, node) && tasks.length > 0) gateNode(draft, node, tasks);
  else runNode(draft, node, holdSlots(draft, tasks));
}

function isGated({ run }: Draft, node: number): boolean {
  const state = at(run.nodes, node);
  return state.phase === 'waiting' && state.isGated;
}

/**
 * One task per slot, or undefined where `when` is false.
 * @throws HiveError TEMPLATE_UNRESOLVED, MAP_NOT_ARRAY
 */
function tasksOf(draft: Draft, node: number): readonly Task[] | undefined {
  const undoing = compensationTaskOf(draft, node);
  if (undoing !== undefined) return [undoing];
  const { input, map, when, concurrency } = at(draft.rules.plan.nodes, node);
  const scope = scopeOf(draft);
  if (when !== undefined && !asBoolean(valueOf(when, scope), when.text)) return undefined;
  const items = map === undefined ? [undefined] : asItems(resolveTemplate(map, scope));
  return items.map((item) => ({
    input: resolveTemplate(input, { ...scope, item }) as JsonObject,
    ...waitOfItem(draft, node, { ...scope, item }),
    ...(concurrency !== undefined && { concurrency: placeOf(concurrency, { ...scope, item }) }),
  }));
}

/** @throws HiveError TEMPLATE_UNRESOLVED */
const placeOf = ({ key, limit }: ConcurrencyPlan, scope: Scope) => ({ key: asKey(resolveTemplate(key, scope)), limit });

/** What a node that only waits waits for, resolved. @throws HiveError TEMPLATE_UNRESOLVED */
function waitOfItem({ rules, atMs }: Draft, node: number, scope: Scope): Pick<Task, 'wait'> {
  const { work } = at(rules.plan.nodes, node);
  switch (work.kind) {
    case 'agent':
      return {};
    case 'sleep':
      return { wait: { kind: 'timer', step: '', dueAtMs: atMs + work.forMs } };
    case 'sleep until': {
      const value = resolveTemplate(work.until, scope);
      const dueAtMs = timeOf(value);
      const said = JSON.stringify(value).slice(0, 100);
      if (dueAtMs === undefined) throw unresolved('until', `${said} is neither an ISO 8601 time with a zone nor milliseconds since 1970`);
      if (dueAtMs > atMs + maxWaitMs) throw unresolved('until', `${said} is more than ${maxWaitMs / 86_400_000} days away`);
      return { wait: { kind: 'timer', step: '', dueAtMs } };
    }
    case 'wait': {
      const key = work.key === undefined ? undefined : asKey(resolveTemplate(work.key, scope));
      return { wait: { kind: 'signal', step: '', name: work.name, key, expiresAtMs: atMs + work.expiresAfterMs } };
    }
  }
}

/** @throws HiveError TEMPLATE_UNRESOLVED */
export function asKey(value: JsonValue): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= maxKeyLength) return value;
  if (typeof value === 'number') return String(value);
  throw unresolved('key', `${JSON.stringify(value).slice(0, 100)} is not a text of 1 to ${maxKeyLength} characters`);
}

function asBoolean(value: JsonValue, text: string): boolean {
  if (typeof value !== 'boolean') throw unresolved(text, `"when" must be true or false, not ${JSON.stringify(value).slice(0, 100)}`);
  return value;
}

function asItems(value: JsonValue): readonly JsonValue[] {
  if (!Array.isArray(value))
    throw new HiveError('MAP_NOT_ARRAY', `"map" gave ${JSON.stringify(value).slice(0, 100)}, which is not an array`);
  if (value.length > maxMapSlots)
    throw new HiveError('MAP_NOT_ARRAY', `"map" gave ${value.length} elements; at most ${maxMapSlots} are allowed`);
  return value as readonly JsonValue[];
}

/** What templates may read now. */
export function scopeOf(draft: Draft): Scope {
  const { run, rules } = draft;
  return {
    runId: run.runId,
    context: run.phase.kind === 'live' ? run.phase.context : {},
    idOf: (node) => nodeIdAt(draft, node),
    nodeAt: (node) => resultOf(at(run.nodes, node)),
    evaluate: rules.evaluate,
  };
}

function resultOf(state: NodeState): JsonObject {
  if (state.phase !== 'finished') return { status: 'PENDING', output: null, error: null };
  return { status: state.status, output: state.output ?? null, error: state.error === undefined ? null : { ...state.error } };
}

interface Slots {
  readonly firstSlot: number;
  readonly slotCount: number;
}

function holdSlots({ run }: Draft, tasks: readonly Task[]): Slots {
  const firstSlot = run.slots.length;
  for (const task of tasks) run.slots.push({ phase: 'held', task });
  return { firstSlot, slotCount: tasks.length };
}

/** How the approval of a node is asked for. What a workflow says about doing something is not about undoing it. */
export const approvalRuleOf = ({ run, rules }: Draft, node: number): ApprovalRule =>
  (run.compensation === undefined ? at(rules.plan.nodes, node).approval : undefined) ?? defaultApprovalRule;

function gateNode(draft: Draft, node: number, tasks: readonly Task[]): void {
  const { map } = at(draft.rules.plan.nodes, node);
  const rule = approvalRuleOf(draft, node);
  const inputs = tasks.map((task) => task.input);
  const isMap = map !== undefined && draft.run.compensation === undefined;
  const approval = requestApproval(draft, { node, instead: tasks[0]?.instead, input: isMap ? inputs : (inputs[0] ?? null), rule });
  draft.run.nodes[node] = { phase: 'gated', approval, ...holdSlots(draft, tasks) };
}

/** Issues the first ticket of every slot, or lets it wait; a node without slots is done at once. */
export function runNode(draft: Draft, node: number, { firstSlot, slotCount }: Slots): void {
  const { run, atMs } = draft;
  run.nodes[node] = { phase: 'running', startedAtMs: atMs, firstSlot, slotCount, openCount: slotCount };
  draft.notices.push({ type: 'node.started', atMs, nodeId: nodeIdAt(draft, node), slotCount });
  if (run.tickets.length + slotCount > maxTicketsPerRun) return failNode(draft, node, tooLarge);
  for (let slotAt = firstSlot; slotAt < firstSlot + slotCount; slotAt += 1) {
    const held = at(run.slots, slotAt);
    if (held.phase === 'held') beginSlot(draft, { slotAt, node }, held.task);
  }
  if (slotCount === 0) finishNode(draft, node, { status: 'SUCCESS', output: [] });
}

const untried = { attempt: 0, failureCount: 0, lossCount: 0 };

/** The first thing a slot does: its ticket, or its wait. */
function beginSlot(draft: Draft, place: SlotPlace, { wait, ...task }: Task): void {
  if (wait !== undefined) suspend(draft, place, { task, wait, tries: untried });
  else issueTicket(draft, place.slotAt, { node: place.node, task, tries: { ...untried, attempt: 1 } });
}

/** Ends a node that failed for good; what it still holds is given up. */
export function failNode(draft: Draft, node: number, failure: Failure): void {
  const { definition } = at(draft.rules.plan.nodes, node);
  dropSlots(draft, node);
  finishNode(draft, node, {
    status: failure.code === 'NODE_TIMED_OUT' ? 'TIMED_OUT' : 'FAILED',
    error: { ...failure, nodeId: definition.id },
    output: definition.onFailure === 'fallback' ? definition.fallbackOutput : undefined,
  });
}

/** Revokes what the node's slots still wait for. */
export function dropSlots(draft: Draft, node: number): void {
  const state = at(draft.run.nodes, node);
  if (state.phase !== 'running' && state.phase !== 'gated') return;
  for (let slotAt = state.firstSlot; slotAt < state.firstSlot + state.slotCount; slotAt += 1) dropSlot(draft, slotAt);
}

/** Drops a slot, and the slots it called. */
function dropSlot(draft: Draft, first: number): void {
  const { run } = draft;
  for (let slotAt: number | undefined = first; slotAt !== undefined;) {
    const slot: SlotState = at(run.slots, slotAt);
    if (slot.phase === 'done') return;
    if (slot.phase === 'issued' && at(run.tickets, slot.ticket).end === undefined) revokeTicket(draft, slot.ticket);
    if (slot.phase === 'suspended') endWait(draft, slotAt, slot.wait);
    run.slots[slotAt] = { phase: 'dropped' };
    slotAt = slot.phase === 'suspended' && slot.wait.kind === 'agent' ? slot.wait.slotAt : undefined;
  }
}

/** How a node ends. */
interface NodeEnd {
  readonly status: FinalStatus;
  readonly output?: JsonValue | undefined;
  readonly error?: Failure | undefined;
  readonly isCarried?: boolean | undefined;
}

/** Ends a node, tells its dependents, and remembers the first failure that fails the run. */
export function finishNode(draft: Draft, node: number, { status, output, error, isCarried }: NodeEnd): void {
  const { run, rules, atMs } = draft;
  const before = at(run.nodes, node);
  const { definition, dependents } = at(rules.plan.nodes, node);
  const startedAtMs = before.phase === 'running' ? before.startedAtMs : undefined;
  const finishedAs = run.nodes.length - run.openNodeCount;
  run.nodes[node] = { phase: 'finished', status, output, error, isCarried, startedAtMs, finishedAtMs: atMs, finishedAs };
  run.openNodeCount -= 1;
  noteEnd(draft, { nodeId: definition.id, status, error, isCarried, startedAtMs });
  const hasFailed = status === 'FAILED' || status === 'TIMED_OUT';
  if (hasFailed && isFatal(draft, node)) run.failure ??= error;
  if (run.compensation !== undefined) {
    undoNext(draft, node);
    return;
  }
  const isSatisfied = status === 'SUCCESS' || (hasFailed && definition.onFailure !== 'fail');
  for (const dependent of dependents) tellDependent(draft, dependent, isSatisfied);
}

function noteEnd(
  { notices, atMs }: Draft,
  {
    nodeId,
    status,
    error,
    isCarried,
    startedAtMs,
  }: Omit<NodeEnd, 'output'> & { readonly nodeId: string; readonly startedAtMs: number | undefined },
): void {
  notices.push({
    type: 'node.finished',
    atMs,
    nodeId,
    status,
    ...(startedAtMs !== undefined && { durationMs: atMs - startedAtMs }),
    ...(error !== undefined && { error }),
    ...(isCarried === true && { isCarried }),
  });
}

/** True where the run fails with the node. What must be undone and cannot be always fails it. */
export const isFatal = ({ run, rules }: Draft, node: number): boolean =>
  run.compensation !== undefined || at(rules.plan.nodes, node).definition.onFailure === 'fail';

function tellDependent(draft: Draft, node: number, isSatisfied: boolean): void {
  const state = at(draft.run.nodes, node);
  if (state.phase !== 'waiting') return;
  if (!isSatisfied) {
    draft.moves.push({ node, move: 'skip' });
    return;
  }
  const unmetCount = state.unmetCount - 1;
  draft.run.nodes[node] = { ...state, unmetCount };
  if (unmetCount === 0) draft.moves.push({ node, move: 'start' });
}
