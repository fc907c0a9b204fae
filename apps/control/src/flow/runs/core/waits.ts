import type { Failure, JsonObject, JsonValue, Suspension } from '@hivekeeper/contract';
import { at, type Draft, nodeIdAt } from './draft.ts';
import { pushDue } from './due.ts';
import { closeApproval, requestApproval } from './ledger.ts';
import type { RunState, Signal, SlotPlace, SlotState, Task, Tries, Wait } from './state.ts';

/** What the names of events begin with where signals and events stand side by side. */
export const eventPrefix = 'event:';

/** So many signals one run may get. */
export const maxSignalsPerRun = 10_000;

/** More waits of one slot are a loop that does not end. */
export const maxMemoEntries = 1_000;

interface Suspended {
  readonly task: Task;
  readonly tries: Tries;
}

/** Lets a slot wait. What it waits for may be there already: then it goes on at the end of this event. */
export function suspend(draft: Draft, place: SlotPlace, { task, tries, wait }: Suspended & { readonly wait: Wait }): void {
  const { run, atMs } = draft;
  const { slotAt, node } = place;
  run.slots[slotAt] = { phase: 'suspended', task, wait, tries };
  const nodeId = nodeIdAt(draft, node);
  const slot = slotNumberOf(draft, place);
  const untilMs = untilOf(wait);
  draft.notices.push({ type: 'node.suspended', atMs, nodeId, slot, waitsFor: inWords(wait), ...(untilMs !== undefined && { untilMs }) });
  if (wait.kind === 'timer') pushDue(run.due, { kind: 'timer', atMs: wait.dueAtMs, node, nodeId, slotAt });
  else if (wait.kind === 'signal') listen(draft, place, wait);
  else if (wait.kind === 'effect') run.unknownEffects.push({ ...place, nodeId, effectId: wait.effectId, tool: wait.tool });
}

/** The slot's number in its node; slots that others called stand behind the node's own. */
export function slotNumberOf({ run }: Draft, { slotAt, node }: SlotPlace): number {
  const state = at(run.nodes, node);
  return state.phase === 'running' ? slotAt - state.firstSlot : 0;
}

function untilOf(wait: Wait): number | undefined {
  if (wait.kind === 'timer') return wait.dueAtMs;
  return wait.kind === 'signal' ? wait.expiresAtMs : undefined;
}

function inWords(wait: Wait): string {
  switch (wait.kind) {
    case 'timer':
      return 'time';
    case 'signal':
      return wait.name.startsWith(eventPrefix) ? `event ${wait.name.slice(eventPrefix.length)}` : `signal ${wait.name}`;
    case 'approval':
      return 'approval';
    case 'agent':
      return 'another agent';
    case 'effect':
      return `what became of ${wait.tool}`;
  }
}

function listen(draft: Draft, place: SlotPlace, wait: Extract<Wait, { readonly kind: 'signal' }>): void {
  const { run } = draft;
  const early = run.signals.findIndex((signal) => isMeant(wait, signal));
  const [signal] = early < 0 ? [] : run.signals.splice(early, 1);
  if (signal !== undefined) {
    draft.moves.push({ ...place, move: 'resume', outcome: { ok: true, output: signal.payload } });
    return;
  }
  run.listeners.push(place);
  pushDue(run.due, { kind: 'lapse', atMs: wait.expiresAtMs, nodeId: nodeIdAt(draft, place.node), ...place });
  const { name, key = '' } = wait;
  if (name.startsWith(eventPrefix))
    draft.commands.push({ type: 'await-event', slotAt: place.slotAt, name: name.slice(eventPrefix.length), key });
}

const isMeant = (wait: Wait | undefined, signal: Signal): boolean =>
  wait?.kind === 'signal' && wait.name === signal.name && (wait.key === undefined || wait.key === signal.key);

/** Gives a signal to the slot that has waited longest for it, else keeps it until somebody does. */
export function receiveSignal(draft: Draft, signal: Signal): void {
  const place = draft.run.listeners.find(({ slotAt }) => isMeant(suspendedAt(draft, slotAt)?.wait, signal));
  if (place === undefined) draft.run.signals.push(signal);
  else draft.moves.push({ ...place, move: 'resume', outcome: { ok: true, output: signal.payload } });
}

/** Whoever found its signal there already never listened. */
function stopListening({ run, commands }: Draft, slotAt: number, name: string): void {
  const index = run.listeners.findIndex((listener) => listener.slotAt === slotAt);
  if (index < 0) return;
  run.listeners.splice(index, 1);
  if (name.startsWith(eventPrefix)) commands.push({ type: 'forget-event', slotAt });
}

/** The slot waits no more, whatever came of it. */
export function endWait(draft: Draft, slotAt: number, wait: Wait): void {
  const { run } = draft;
  if (wait.kind === 'signal') stopListening(draft, slotAt, wait.name);
  else if (wait.kind === 'effect') {
    const index = run.unknownEffects.findIndex((effect) => effect.slotAt === slotAt);
    if (index >= 0) run.unknownEffects.splice(index, 1);
  } else if (wait.kind === 'approval' && at(run.approvals, wait.approval).isPending) closeApproval(draft, wait.approval, 'CANCELLED');
}

/** What a suspension that an agent asked for becomes here; the agent that it calls gets the next slot. */
export function waitOf(draft: Draft, place: SlotPlace, suspension: Suspension): Wait {
  const { atMs } = draft;
  const { step } = suspension;
  switch (suspension.kind) {
    case 'timer':
      return { kind: 'timer', step, dueAtMs: atMs + suspension.forMs };
    case 'signal':
      return { kind: 'signal', step, name: suspension.name, key: suspension.key, expiresAtMs: atMs + suspension.expiresAfterMs };
    case 'approval': {
      const { message, expiresAfterMs, input } = suspension;
      const rule = { message, expiresAfterMs, excludeRequester: false };
      const { node, slotAt } = place;
      const instead = taskOf(draft, slotAt)?.instead;
      return { kind: 'approval', step, approval: requestApproval(draft, { node, slotAt, instead, input, rule }) };
    }
    case 'agent':
      return { kind: 'agent', step, slotAt: draft.run.slots.length };
    case 'effect':
      return { kind: 'effect', step, effectId: suspension.effectId, tool: suspension.tool };
  }
}

/** What the agent of a slot is given, as long as the slot has not ended. */
export function taskOf({ run }: Draft, slotAt: number): Task | undefined {
  const slot = at(run.slots, slotAt);
  return 'task' in slot ? slot.task : undefined;
}

/** The slot, where it waits. */
export const suspendedAt = ({ run }: Draft, slotAt: number): Extract<SlotState, { readonly phase: 'suspended' }> | undefined => {
  const slot = run.slots[slotAt];
  return slot?.phase === 'suspended' ? slot : undefined;
};

/** True while the slot waits for an event of that type and key. */
export function awaitsEvent(
  { slots }: RunState,
  slotAt: number,
  event: { readonly type: string; readonly key?: string | undefined } | undefined,
): boolean {
  const slot = slots[slotAt];
  if (event === undefined || slot?.phase !== 'suspended' || slot.wait.kind !== 'signal') return false;
  return slot.wait.name === `${eventPrefix}${event.type}` && slot.wait.key === event.key;
}

/** The answer to an approval, as the agent that asked for it reads it. */
export const decisionOutput = (decision: 'APPROVED' | 'REJECTED' | 'EXPIRED', by?: string, notes?: string): JsonObject => ({
  approved: decision === 'APPROVED',
  decision,
  ...(by !== undefined && { by }),
  ...(notes !== undefined && { notes }),
});

/** Nobody sent the signal in time. */
export const lapse = (wait: Wait): Failure => ({ code: 'SIGNAL_EXPIRED', message: `${inWords(wait)} did not come in time` });

/** The time a `sleep` node waits for. Undefined where the value is none. */
export function timeOf(value: JsonValue): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined;
  // Without a zone the time would be another one on every machine.
  const isZoned = typeof value === 'string' && /^\d{4}-\d{2}-\d{2}T.*(Z|[+-]\d{2}:?\d{2})$/.test(value);
  const atMs = isZoned ? Date.parse(value) : NaN;
  return Number.isNaN(atMs) ? undefined : atMs;
}
