import type {
  CarriedNode,
  CompensationTask,
  Failure,
  JsonValue,
  RunCreated,
  RunEvent,
  Suspension,
  WorkerId,
  WorkflowInput,
} from '@hivekeeper/contract';
import { RunUnderTest, testRunId } from '../../apps/control/src/flow/runs/core/run-under-test.ts';
import { createExpressions } from '../../apps/control/src/flow/runs/index.ts';
import { type Commit, type History, read } from './history.ts';

const { evaluate } = createExpressions();
const workerId = 'wrk_01JD0000000000000000000000' as WorkerId;

/** Plays a run and keeps its journal: events have every field that the product writes. */
export class Recorder {
  readonly #run: RunUnderTest;
  readonly #commits: Pick<Commit, 'events'>[] = [];
  #tokenCount = 0;

  constructor(workflow: WorkflowInput) {
    this.#run = new RunUnderTest(workflow, evaluate);
  }

  /** Commits events together. Every commit is a second after the one before. */
  commit(...events: readonly RunEvent[]): this {
    for (const event of events) this.#run.send(event);
    this.#commits.push({ events });
    this.#run.nowMs += 1_000;
    return this;
  }

  start(more: Partial<RunCreated> = {}): this {
    return this.commit({ type: 'run.created', atMs: this.nowMs, by: 'key:first', context: {}, ...more });
  }

  get nowMs(): number {
    return this.#run.nowMs;
  }

  /** What a worker says of the last ticket of a slot. */
  #word(nodeId: string, slot: number) {
    this.#tokenCount += 1;
    const ticketId = this.#run.ticketOf(nodeId, slot);
    return { atMs: this.nowMs, workerId, ticketId, token: `1.${this.#tokenCount}`, leasedAtMs: this.nowMs - 500 };
  }

  settled(nodeId: string, output: JsonValue = null, slot = 0): RunEvent {
    return { ...this.#word(nodeId, slot), type: 'ticket.settled', outcome: { ok: true, output } };
  }

  failed(nodeId: string, error: Partial<Failure> = {}, slot = 0): RunEvent {
    const failure = { code: 'AGENT_FAILED', message: 'exit 1', excerpt: 'no such file', ...error };
    return { ...this.#word(nodeId, slot), type: 'ticket.settled', outcome: { ok: false, error: failure } };
  }

  lost(nodeId: string, slot = 0): RunEvent {
    return { type: 'ticket.lost', atMs: this.nowMs, ticketId: this.#run.ticketOf(nodeId, slot), workerId };
  }

  suspended(nodeId: string, suspension: Suspension, slot = 0): RunEvent {
    return { ...this.#word(nodeId, slot), type: 'ticket.suspended', suspension };
  }

  decided(nodeId: string, approved: boolean, notes?: string): RunEvent {
    const approvalId = this.#run.approvalOf(nodeId);
    return { type: 'approval.decided', atMs: this.nowMs, approvalId, approved, by: 'key:ann', ...(notes !== undefined && { notes }) };
  }

  signalled(name: string, signalId: string, more: { readonly key?: string; readonly payload?: JsonValue } = {}): RunEvent {
    return { type: 'signal.received', atMs: this.nowMs, by: 'key:ann', signalId, name, payload: null, ...more };
  }

  woken(afterMs = 0): RunEvent {
    this.#run.nowMs += afterMs;
    return { type: 'run.woken', atMs: this.nowMs };
  }

  ordered(type: 'run.paused' | 'run.resumed' | 'run.cancelled', reason?: string): RunEvent {
    return { type, atMs: this.nowMs, by: 'key:ann', ...(reason !== undefined && { reason }) };
  }

  /** The history, with what this code makes of it. */
  history(version: string, about: string): History {
    const { definition } = this.#run.rules.plan;
    return { version, about, runId: testRunId, definition, ...read({ runId: testRunId, definition, commits: this.#commits }) };
  }

  /** What another run may go on from, and what it would have to undo. */
  leftovers(): { readonly carried: readonly CarriedNode[]; readonly toUndo: readonly CompensationTask[] } {
    const { end } = this.history('', '');
    return { carried: end.carriedOver, toUndo: end.toUndo ?? [] };
  }
}
