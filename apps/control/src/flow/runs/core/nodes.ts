import { type Failure, HiveError, type JsonObject, type JsonValue, maxMapSlots } from '@hivekeeper/contract';
import { at, type Draft, nodeIdAt } from './draft.ts';
import { issueTicket, maxTicketsPerRun, requestApproval, revokeTicket } from './ledger.ts';
import type { FinalStatus, NodeState } from './state.ts';
import { resolveTemplate, type Scope, unresolved, valueOf } from './templates/resolve.ts';

/** Starts and skips what is queued, and what that leads to, until nothing moves any more. */
export function settleMoves(draft: Draft): void {
  for (let next = 0; next < draft.moves.length; next += 1) {
    const { node, move } = at(draft.moves, next);
    if (at(draft.run.nodes, node).phase !== 'waiting') continue;
    if (move === 'skip') finishNode(draft, node, { status: 'SKIPPED' });
    else startNode(draft, node);
  }
  draft.moves.length = 0;
}

function startNode(draft: Draft, node: number): void {
  let inputs: readonly JsonObject[] | undefined;
  try {
    inputs = inputsOf(draft, node);
  } catch (error) {
    if (!HiveError.is(error)) throw error;
    failNode(draft, node, { code: error.code, message: error.message });
    return;
  }
  if (inputs === undefined) finishNode(draft, node, { status: 'SKIPPED' });
  else if (isGated(draft, node) && inputs.length > 0) gateNode(draft, node, inputs);
  else runNode(draft, node, holdSlots(draft, inputs));
}

function isGated({ run }: Draft, node: number): boolean {
  const state = at(run.nodes, node);
  return state.phase === 'waiting' && state.isGated;
}

/**
 * One resolved input per slot, or undefined where `when` is false.
 * @throws HiveError TEMPLATE_UNRESOLVED, MAP_NOT_ARRAY, RUN_TOO_LARGE
 */
function inputsOf(draft: Draft, node: number): readonly JsonObject[] | undefined {
  const { input, map, when } = at(draft.rules.plan.nodes, node);
  const scope = scopeOf(draft);
  if (when !== undefined && !asBoolean(valueOf(when, scope), when.text)) return undefined;
  const items = map === undefined ? [undefined] : asItems(resolveTemplate(map, scope));
  if (draft.run.tickets.length + items.length > maxTicketsPerRun) throw new HiveError('RUN_TOO_LARGE');
  return items.map((item) => resolveTemplate(input, { ...scope, item }) as JsonObject);
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

function scopeOf(draft: Draft): Scope {
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

function holdSlots({ run }: Draft, inputs: readonly JsonObject[]): Slots {
  const firstSlot = run.slots.length;
  for (const input of inputs) run.slots.push({ phase: 'held', input });
  return { firstSlot, slotCount: inputs.length };
}

function gateNode(draft: Draft, node: number, inputs: readonly JsonObject[]): void {
  const isMap = at(draft.rules.plan.nodes, node).map !== undefined;
  const approval = requestApproval(draft, node, isMap ? inputs : (inputs[0] ?? null));
  draft.run.nodes[node] = { phase: 'gated', approval, ...holdSlots(draft, inputs) };
}

/** Issues the first ticket of every slot; a node without slots is done at once. */
export function runNode(draft: Draft, node: number, { firstSlot, slotCount }: Slots): void {
  const { run, atMs } = draft;
  run.nodes[node] = { phase: 'running', startedAtMs: atMs, firstSlot, slotCount, openCount: slotCount };
  draft.notices.push({ type: 'node.started', atMs, nodeId: nodeIdAt(draft, node), slotCount });
  for (let slot = firstSlot; slot < firstSlot + slotCount; slot += 1) {
    const held = at(run.slots, slot);
    if (held.phase === 'held') issueTicket(draft, slot, { node, input: held.input, tries: { attempt: 1, failureCount: 0, lossCount: 0 } });
  }
  if (slotCount === 0) finishNode(draft, node, { status: 'SUCCESS', output: [] });
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
  const { run } = draft;
  const state = at(run.nodes, node);
  if (state.phase !== 'running' && state.phase !== 'gated') return;
  for (let index = state.firstSlot; index < state.firstSlot + state.slotCount; index += 1) {
    const slot = at(run.slots, index);
    if (slot.phase === 'done') continue;
    if (slot.phase === 'issued' && at(run.tickets, slot.ticket).end === undefined) revokeTicket(draft, slot.ticket);
    run.slots[index] = { phase: 'dropped' };
  }
}

/** Ends a node, tells its dependents, and remembers the first failure that fails the run. */
export function finishNode(
  draft: Draft,
  node: number,
  {
    status,
    output,
    error,
  }: { readonly status: FinalStatus; readonly output?: JsonValue | undefined; readonly error?: Failure | undefined },
): void {
  const { run, rules, atMs } = draft;
  const before = at(run.nodes, node);
  const { definition, dependents } = at(rules.plan.nodes, node);
  const startedAtMs = before.phase === 'running' ? before.startedAtMs : undefined;
  run.nodes[node] = { phase: 'finished', status, output, error, startedAtMs, finishedAtMs: atMs };
  run.openNodeCount -= 1;
  draft.notices.push({
    type: 'node.finished',
    atMs,
    nodeId: definition.id,
    status,
    ...(startedAtMs !== undefined && { durationMs: atMs - startedAtMs }),
    ...(error !== undefined && { error }),
  });
  const hasFailed = status === 'FAILED' || status === 'TIMED_OUT';
  if (hasFailed && definition.onFailure === 'fail') run.failure ??= error;
  const isSatisfied = status === 'SUCCESS' || (hasFailed && definition.onFailure !== 'fail');
  for (const dependent of dependents) tellDependent(draft, dependent, isSatisfied);
}

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
