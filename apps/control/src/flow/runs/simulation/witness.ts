import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import type { ApprovalId, EffectId, RunNotice, TicketId } from '@hivekeeper/contract';
import type { Command, RunState } from '../core/index.ts';
import { type End, isSatisfied } from './reference.ts';
import { checkRequest, checkTicket, type Issue, nodeOf, pathOf, type Request, type Scene } from './scene.ts';
import { actAt, type Answer, signalMs, type SimulatedSignal, signalOfAct, signalOfSlot, sleepMs, slotCountOf } from './world.ts';

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
  #isHolding = false;
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
    const node = nodeOf(this.#scene, nodeId);
    const listen = (signal: SimulatedSignal) => this.listeners.set(at, { ...signal, expiresAtMs: untilMs });
    if (node.work.kind === 'wait') {
      const signal = signalOfSlot(node, slot);
      listen(signal);
      strictEqual(untilMs, this.nowMs + signalMs, 'a wait is as long as the workflow says');
      const early = signal.name === 'shared' ? this.#early.shift() : undefined;
      if (early !== undefined) this.received.set(signal.path, early);
    }
    if (this.suspending?.at !== at) return;
    const { path, effectId } = this.suspending;
    const act = actAt(this.#scene.byId, path);
    if (effectId !== undefined) this.effects.set(at, effectId);
    if (typeof act !== 'object' || act.waits !== 'signal') return;
    strictEqual(untilMs, this.nowMs + signalMs, 'a wait is as long as the agent says');
    listen(signalOfAct(path, act.comes));
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
    const node = nodeOf(this.#scene, nodeId);
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
        this.#isHolding = command.type === 'hold';
        return;
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
    const { nodeId, slot, attempt, priority, isHeld, ticketId, readyAtMs } = issue;
    const path = pathOf(issue);
    const at = `${nodeId}/${slot}`;
    checkTicket(this.#scene, issue);
    ok(this.#mayRun(nodeId), 'what a node needs has ended before it is given out');
    const isTaken = [...this.live.values()].some((other) => other.nodeId === nodeId && other.slot === slot);
    strictEqual(isTaken, false, 'a slot has one live ticket at most');
    strictEqual(this.listeners.has(at) || this.effects.has(at), false, 'no ticket is issued for a slot that waits');
    strictEqual(attempt, (this.#attempts.get(path) ?? 0) + 1, 'attempts are counted one by one');
    ok(readyAtMs >= (this.#notBeforeMs.get(path) ?? 0), 'no ticket comes before its time');
    strictEqual(readyAtMs, this.nowMs, 'a ticket is ready when it is issued');
    strictEqual(isHeld, this.isPaused, 'a ticket is held while the run is paused, and only then');
    strictEqual(priority, this.priority, 'a ticket has the priority of its run');
    this.#attempts.set(path, attempt);
    this.live.set(ticketId, { ...issue, path, isHeld });
    if (isHeld) this.#scene.tally.add('ticket held by a pause');
  }

  #mayRun(nodeId: string): boolean {
    const { byId, undoing, carried } = this.#scene;
    const isOver = (id: string) => isSatisfied(byId.get(id), (this.ended.get(id) ?? carried.get(id))?.status);
    if (undoing === undefined) return nodeOf(this.#scene, nodeId).needs.every(isOver);
    const own = undoing.findIndex((task) => task.nodeId === nodeId);
    return undoing.slice(0, own).every((task) => this.ended.has(task.nodeId));
  }

  #ask(request: Request): void {
    const { approvalId, nodeId, expiresAtMs } = request;
    this.asked.set(approvalId, { nodeId, expiresAtMs, answer: checkRequest(this.#scene, request, this.nowMs) });
  }

  #close({ approvalId, status }: Extract<Command, { type: 'close-approval' }>): void {
    const asked = this.asked.get(approvalId);
    ok(asked !== undefined, 'only a pending approval is closed');
    this.asked.delete(approvalId);
    if (status === 'EXPIRED') ok(asked.answer === 'expire' && asked.expiresAtMs <= this.nowMs, 'no approval expires before its time');
    else this.#scene.tally.add('approval cancelled');
  }

  /** What must be so whenever an event has been taken; `sent` are the paths of signals that are no longer to come. */
  check(state: RunState, sent: ReadonlySet<string>): void {
    strictEqual(state.liveTicketCount, this.live.size, 'the core and the world know the same tickets');
    strictEqual(state.pendingApprovalCount, this.asked.size, 'the core and the world know the same approvals');
    if (state.phase.kind !== 'ended') strictEqual(this.#isHolding, this.isPaused, 'tickets are held while the run is paused');
    for (const { name, path } of this.listeners.values()) {
      if (name === 'shared') strictEqual(this.#early.length, 0, 'nobody waits for a shared signal that is there');
      else strictEqual(sent.has(path), false, 'nobody waits for a signal that is there');
    }
  }

  /** What must be so when the run has ended. */
  checkEnd(): void {
    const left = [this.live.size, this.asked.size, this.listeners.size, this.effects.size, this.#awaited.size];
    deepStrictEqual(left, [0, 0, 0, 0, 0], 'tickets, approvals, signals, effects and events are done with at the end');
  }
}
