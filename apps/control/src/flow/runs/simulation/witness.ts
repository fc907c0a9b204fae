import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import type { ApprovalId, Blocker, CompensationTask, EffectId, MemoEntry, RunNotice, TicketId } from '@hivekeeper/contract';
import { blockerOf, type Command, type RunState, wakeAtOf } from '../core/index.ts';
import { type End, type Fate, fateOf, isSatisfied, memoOf } from './reference.ts';
import type { Tally } from './tally.ts';
import { actAt, type Answer, type SimulatedNode, type SimulatedSignal, signalOfSlot, sleepMs, slotCountOf } from './world.ts';

type Issue = Extract<Command, { type: 'issue' }>;

/** A ticket in the world's hands. */
export type LiveTicket = Issue & { readonly path: string; isHeld: boolean };

/** A person who is asked. */
export interface AskedPerson {
  readonly nodeId: string;
  readonly answer: Answer;
  readonly expiresAtMs: number;
}

/** A slot that waits for a signal. */
export interface Listener extends SimulatedSignal {
  readonly expiresAtMs: number;
}

/** What a witness has to know of the run. */
export interface Scene {
  readonly byId: ReadonlyMap<string, SimulatedNode>;
  /** Present in a run that undoes. */
  readonly undoing: readonly CompensationTask[] | undefined;
  /** Nodes that another run did. */
  readonly carried: ReadonlyMap<string, End>;
  readonly tally: Tally;
}

/**
 * Keeps account of what the core commanded and told, by itself, and objects to what may not be. The world acts by this
 * account and not by the core's state.
 */
export class Witness {
  readonly live = new Map<TicketId, LiveTicket>();
  readonly asked = new Map<ApprovalId, AskedPerson>();
  /** By node and slot: who waits for signals, the longest first; for effects. */
  readonly listeners = new Map<string, Listener>();
  readonly effects = new Map<string, EffectId>();
  readonly ended = new Map<string, End>();
  /** Waited for a signal that did not come. */
  readonly disappointed: Listener[] = [];
  /** What each wait for a shared signal got, by the path of its slot. */
  readonly received = new Map<string, string>();
  readonly #early: string[] = [];
  readonly #awaited = new Set<number>();
  readonly #attempts = new Map<string, number>();
  readonly #notBeforeMs = new Map<string, number>();
  readonly #started = new Set<string>();
  readonly #scene: Scene;
  nowMs = 0;
  isPaused = false;
  priority = 0;
  /** What the event that is being sent lets a slot wait for. */
  suspending: { readonly at: string; readonly path: string; readonly effectId?: EffectId } | undefined;
  /** The ticket whose failure the event that is being sent makes final. */
  dying: TicketId | undefined;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** No ticket of this execution may come before. */
  notBefore(path: string, atMs: number): void {
    this.#notBeforeMs.set(path, atMs);
  }

  /** A shared signal was sent: it goes to whoever has waited longest, else to who comes next. */
  shareSignal(payload: string): void {
    const first = [...this.listeners.values()].find(({ name }) => name === 'shared');
    if (first === undefined) this.#early.push(payload);
    else this.received.set(first.path, payload);
  }

  /** Takes down what an event led to. */
  record(notices: readonly RunNotice[], commands: readonly Command[]): void {
    for (const notice of notices) this.#hear(notice);
    for (const command of commands) this.#obey(command);
    strictEqual(this.dying, undefined, 'a ticket that fails its run is buried');
  }

  #hear(notice: RunNotice): void {
    switch (notice.type) {
      case 'node.started':
        strictEqual(this.#started.has(notice.nodeId), false, 'no node starts twice');
        this.#started.add(notice.nodeId);
        return;
      case 'node.suspended':
        return this.#hearSuspended(notice);
      case 'node.resumed':
        return this.#hearResumed(`${notice.nodeId}/${notice.slot}`);
      case 'node.finished':
        return this.#hearFinished(notice);
      default:
    }
  }

  #hearSuspended({ nodeId, slot, untilMs = NaN }: Extract<RunNotice, { type: 'node.suspended' }>): void {
    const at = `${nodeId}/${slot}`;
    const node = this.#nodeOf(nodeId);
    const listen = (signal: SimulatedSignal) => this.listeners.set(at, { ...signal, expiresAtMs: untilMs });
    if (node.work.kind === 'wait') {
      const signal = signalOfSlot(node, slot);
      listen(signal);
      const early = signal.name === 'shared' ? this.#early.shift() : undefined;
      if (early !== undefined) this.received.set(signal.path, early);
    }
    if (this.suspending?.at !== at) return;
    const { path, effectId } = this.suspending;
    const act = actAt(this.#scene.byId, path);
    if (effectId !== undefined) this.effects.set(at, effectId);
    else if (typeof act === 'object' && act.waits === 'signal') listen({ path, name: 'go', key: path, comes: act.comes });
  }

  #hearResumed(at: string): void {
    const listener = this.listeners.get(at);
    this.listeners.delete(at);
    this.effects.delete(at);
    if (listener === undefined || listener.comes) return;
    ok(this.nowMs >= listener.expiresAtMs, 'nobody gives up waiting before the time');
    this.disappointed.push(listener);
    this.#scene.tally.add('signal never came');
  }

  #hearFinished({ nodeId, status, error, durationMs, isCarried }: Extract<RunNotice, { type: 'node.finished' }>): void {
    strictEqual(this.ended.has(nodeId), false, 'no node ends twice');
    const node = this.#nodeOf(nodeId);
    if (isCarried !== true) this.ended.set(nodeId, { status, code: error?.code });
    if (node.work.kind === 'sleep' && status === 'SUCCESS' && durationMs !== undefined && slotCountOf(node) > 0) {
      if (node.work.how === 'for') ok(durationMs >= sleepMs, 'a sleep is as long as it says');
      this.#scene.tally.add('slept');
    }
    for (const kept of [this.listeners, this.effects]) for (const at of [...kept.keys()]) if (at.startsWith(`${nodeId}/`)) kept.delete(at);
  }

  #obey(command: Command): void {
    const { tally } = this.#scene;
    switch (command.type) {
      case 'issue':
        return this.#take(command);
      case 'revoke':
        ok(this.live.delete(command.ticketId), 'only a live ticket is revoked');
        return tally.add('ticket revoked');
      case 'request-approval':
        return this.#ask(command);
      case 'close-approval':
        return this.#close(command);
      case 'hold':
      case 'free':
        return strictEqual(command.type === 'hold', this.isPaused, 'tickets are held while the run is paused');
      case 'rank':
        return strictEqual(command.priority, this.priority, 'tickets get the new priority');
      case 'await-event':
        strictEqual(this.#awaited.has(command.slotAt), false, 'an event is awaited once');
        this.#awaited.add(command.slotAt);
        return tally.add('event awaited');
      case 'forget-event':
        ok(this.#awaited.delete(command.slotAt), 'only what was awaited is forgotten');
        return tally.add('event forgotten');
      case 'bury':
        strictEqual(command.ticketId, this.dying, 'only a ticket that fails its run is buried');
        this.dying = undefined;
        return tally.add('ticket buried');
    }
  }

  #take(issue: Issue): void {
    const { nodeId, slot, attempt, agent, input, memo, priority, isHeld, ticketId, readyAtMs } = issue;
    const path = this.#pathOf(agent, nodeId, slot);
    const at = `${nodeId}/${slot}`;
    deepStrictEqual(input['own'] ?? input, this.#ownInputOf(path), 'a ticket has the input of its slot');
    ok(this.#mayRun(nodeId), 'what a node needs has ended before it is given out');
    const isTaken = [...this.live.values()].some((other) => other.nodeId === nodeId && other.slot === slot);
    strictEqual(isTaken, false, 'a slot has one live ticket at most');
    strictEqual(this.listeners.has(at) || this.effects.has(at), false, 'no ticket is issued for a slot that waits');
    strictEqual(attempt, (this.#attempts.get(path) ?? 0) + 1, 'attempts are counted one by one');
    ok(attempt <= fateOf(this.#scene.byId, path).attempt, 'nothing is tried again after its end');
    ok(readyAtMs >= (this.#notBeforeMs.get(path) ?? 0), 'no ticket comes before its time');
    strictEqual(readyAtMs, this.nowMs, 'a ticket is ready when it is issued');
    strictEqual(isHeld, this.isPaused, 'a ticket is held while the run is paused, and only then');
    strictEqual(priority, this.priority, 'a ticket has the priority of its run');
    deepStrictEqual(memo.map(fateOfEntry), memoOf(this.#scene.byId, path, attempt), 'an agent finds in its memo what it waited for');
    this.#attempts.set(path, attempt);
    this.live.set(ticketId, { ...issue, path, isHeld });
    if (isHeld) this.#scene.tally.add('ticket held by a pause');
  }

  #ownInputOf(path: string): unknown {
    const [id, slot, ...acts] = path.split('.');
    if (acts.length > 0) return { path };
    const task = this.#scene.undoing?.find(({ nodeId }) => nodeId === id);
    return slot !== 'undo' ? id : task !== undefined && 'input' in task ? task.input : undefined;
  }

  #mayRun(nodeId: string): boolean {
    const { byId, undoing, carried } = this.#scene;
    const isOver = (id: string) => isSatisfied(byId.get(id), (this.ended.get(id) ?? carried.get(id))?.status);
    if (undoing === undefined) return this.#nodeOf(nodeId).needs.every(isOver);
    const before = undoing.slice(
      0,
      undoing.findIndex((task) => task.nodeId === nodeId),
    );
    return before.every((task) => this.ended.has(task.nodeId));
  }

  #pathOf(agent: string, nodeId: string, slot: number): string {
    if (agent === 'agent') return `${nodeId}.${slot}`;
    return agent === 'undoer' ? `${nodeId}.undo` : agent;
  }

  #ask({ approvalId, nodeId, agent, message, expiresAtMs }: Extract<Command, { type: 'request-approval' }>): void {
    this.asked.set(approvalId, { nodeId, expiresAtMs, answer: this.#answerOf(nodeId, agent, message) });
  }

  /** What the script says that the person who is asked will do. An agent that asks names its step in the message. */
  #answerOf(nodeId: string, agent: string, message: string | undefined): Answer {
    const { byId } = this.#scene;
    const { work } = this.#nodeOf(nodeId);
    const act = actAt(byId, message ?? agent);
    if (message !== undefined && typeof act === 'object' && act.waits === 'approval') {
      const caller = message.slice(0, message.lastIndexOf('.'));
      strictEqual(this.#pathOf(agent, nodeId, Number(caller.split('.')[1])), caller, 'an approval names the agent that asks');
      return act.answer;
    }
    const gate =
      typeof act === 'object' && act.waits === 'call'
        ? act.gate
        : work.kind === 'agent' && (agent === 'undoer' ? work.undoing?.gate : work.gate);
    ok(gate !== undefined && gate !== false && gate !== 'none', 'only who was told to asks');
    return gate;
  }

  #close({ approvalId, status }: Extract<Command, { type: 'close-approval' }>): void {
    const asked = this.asked.get(approvalId);
    ok(asked !== undefined, 'only a pending approval is closed');
    this.asked.delete(approvalId);
    if (status === 'EXPIRED') ok(asked.answer === 'expire' && asked.expiresAtMs <= this.nowMs, 'no approval expires before its time');
    else this.#scene.tally.add('approval cancelled');
  }

  #nodeOf(id: string): SimulatedNode {
    const node = this.#scene.byId.get(id);
    ok(node !== undefined, `there is a node ${id}`);
    return node;
  }

  /** What must be so whenever an event has been taken; `sent` are the paths of signals that are no longer to come. */
  check(state: RunState, sent: ReadonlySet<string>): void {
    strictEqual(state.liveTicketCount, this.live.size, 'the core and the world know the same tickets');
    strictEqual(state.pendingApprovalCount, this.asked.size, 'the core and the world know the same approvals');
    const blocker = blockerOf(state);
    if (blocker !== undefined) this.#checkBlocker(blocker, state);
    for (const { name, path } of this.listeners.values()) {
      if (name === 'shared') strictEqual(this.#early.length, 0, 'nobody waits for a shared signal that is there');
      else strictEqual(sent.has(path), false, 'nobody waits for a signal that is there');
    }
  }

  /** A run waits for what only a person can give, else for its oldest ticket, else for what time brings first. */
  #checkBlocker(blocker: Blocker, state: RunState): void {
    const first = [
      this.isPaused && 'paused',
      state.phase.kind === 'queued' && 'concurrency',
      this.asked.size > 0 && 'approval',
      this.effects.size > 0 && 'effect_unknown',
      this.live.size > 0 && 'ticket',
    ].find((kind) => kind !== false);
    if (first !== undefined) strictEqual(blocker.kind, first, 'a blocker names what must be done first');
    this.#checkNamed(blocker);
    if (first === undefined) this.#checkTime(blocker, state);
  }

  #checkNamed(blocker: Blocker): void {
    const { kind } = blocker;
    if (kind === 'approval') strictEqual(this.asked.get(blocker.approvalId)?.expiresAtMs, blocker.expiresAtMs);
    else if (kind === 'effect_unknown')
      ok([...this.effects.values()].includes(blocker.effectId), 'a blocker names an effect that is unknown');
    else if (kind === 'ticket') {
      const [oldest] = [...this.live.values()].sort((a, b) => ordinalOf(a) - ordinalOf(b));
      deepStrictEqual([blocker.ticketId, blocker.otherCount], [oldest?.ticketId, this.live.size - 1], 'a blocker names the oldest ticket');
    }
  }

  #checkTime(blocker: Blocker, state: RunState): void {
    const atMs = 'dueAtMs' in blocker ? blocker.dueAtMs : 'expiresAtMs' in blocker ? blocker.expiresAtMs : NaN;
    strictEqual(Math.min(atMs, state.deadlineAtMs ?? Infinity), wakeAtOf(state), 'a blocker names what time brings first');
    if (blocker.kind !== 'signal') return;
    const { name, key } = blocker;
    const isKnown = [...this.listeners.values()].some((listener) => listener.name === name && listener.key === key);
    ok(isKnown, 'a blocker names a signal that somebody waits for');
  }

  /** What must be so when the run has ended. */
  checkEnd(): void {
    const left = [this.live.size, this.asked.size, this.listeners.size, this.effects.size, this.#awaited.size];
    deepStrictEqual(left, [0, 0, 0, 0, 0], 'tickets, approvals, signals, effects and events are done with at the end');
  }
}

const ordinalOf = ({ ticketId }: LiveTicket): number => Number(ticketId.slice(ticketId.lastIndexOf('.') + 1));

const fateOfEntry = ({ step, outcome }: MemoEntry): { step: string; fate: Fate } => ({
  step,
  fate: outcome.ok ? { output: outcome.output } : { code: outcome.error.code },
});
