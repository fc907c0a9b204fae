import { HiveError, isTerminal, type RunEvent, type RunId, type TicketId, type WorkerId } from '@hivekeeper/contract';
import type { Clock, Log } from '@hivekeeper/kernel';
import type { Assignment, Breakers, FindAgent, IssuedTicket, LeaseAnswers, TicketDesk } from '../tickets/index.ts';
import { runStatusOf, wakeAtOf, type RunState } from './core/index.ts';
import { consequencesOf, type RunConsequences } from './consequences.ts';
import type { Driver } from './driver.ts';
import type { LiveRun, LiveRuns } from './live-runs.ts';
import type { CommitResult, Ending, LeaseClaim, RunOrigin, RunStore, StoredRun } from './run-store.ts';
import { advance, commitOf, newWork, type RunWork, verdictsOf } from './run-work.ts';
import type { NoticeBoard } from './watching/index.ts';

/** What a caller wants of a run. */
export interface Intent {
  readonly runId: RunId;
  /** Present for a run that does not exist yet. */
  readonly begin?: { readonly live: LiveRun; readonly origin: RunOrigin } | undefined;
  /** For the audit. */
  readonly actor: string;
  /**
   * Turns the wish into an event, against the state at its turn; perhaps again, against a later one. `undefined`: it is so
   * already. Throws HiveError to refuse.
   */
  judge(state: RunState, atMs: number): RunEvent | undefined;
  /** The ticket this ends, and who holds it. */
  readonly settles?: Ending | undefined;
  /** Whether the journal shows it done: asked when a repeated call finds its ticket gone. */
  isRecorded?(run: StoredRun): boolean;
}

/** What the lane needs. */
export interface LaneOptions {
  readonly store: RunStore;
  readonly runs: LiveRuns;
  readonly desk: TicketDesk;
  readonly board: NoticeBoard;
  readonly driver: () => Driver;
  readonly findAgent: FindAgent;
  readonly breakers: Pick<Breakers, 'observe'>;
  /** Told what others may wait for, once it is stored. */
  readonly follow: (consequences: RunConsequences) => void;
  readonly clock: Clock;
  readonly log: Log;
}

interface Waiting {
  readonly intent: Intent;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  tries: number;
  /** It was in a batch that failed for no known reason: it goes alone, so that it harms nobody. */
  isSuspect: boolean;
  /** Its run was read for it: what it finds then is no memory that another control plane has left out of date. */
  isRead: boolean;
}

interface Batch {
  readonly works: Map<RunId, RunWork>;
  readonly accepted: Waiting[];
  /** Those that change nothing. They are told why once the batch is stored: that may rest on what it stores. */
  readonly idle: { readonly waiting: Waiting; readonly tell: () => void }[];
  readonly leases: readonly Assignment<IssuedTicket>[];
  readonly issued: readonly IssuedTicket[];
}

// Two, so that one batch is folded while the other is stored. Chosen for that reason; other numbers were not compared.
const mostUnderWay = 2;
const mostIntents = 256;
const worthHalving = 8;
const mostLeases = 1_000;
const mostTries = 4;
const pauseAfterFaultMs = 200;

/**
 * The one way runs change. Intents that arrive while a commit is under way form the next batch: they are folded in
 * memory, given workers, and stored in one round trip and one fsync. A run is in one batch at a time; different runs may
 * be in two. Nobody is told anything before it is stored.
 */
export class RunLane {
  readonly #options: LaneOptions;
  readonly #busy = new Set<RunId>();
  #queue: Waiting[] = [];
  #underWay = 0;
  #storedCount = 0;
  #isPumpSet = false;
  #isResting = false;
  #idle: (() => void)[] = [];

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Resolves when the intent is stored, or found to be so already. @throws HiveError as `judge` does, or DATABASE_UNAVAILABLE. */
  submit(intent: Intent): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ intent, resolve, reject, tries: 0, isSuspect: false, isRead: false });
      this.pump();
    });
  }

  /** Looks for work at the end of this turn of the event loop, so that everything which arrives in it shares a batch. */
  pump(): void {
    if (this.#isPumpSet) return;
    this.#isPumpSet = true;
    setImmediate(() => {
      this.#isPumpSet = false;
      while (!this.#isResting && this.#underWay < mostUnderWay && this.#start());
      if (this.#underWay === 0 && this.#queue.length === 0) for (const resolve of this.#idle.splice(0)) resolve();
    });
  }

  /** Whether anything is queued or under way, and how many batches were stored; a store that fails adds none. */
  progress(): { readonly isBusy: boolean; readonly storedCount: number } {
    return { isBusy: this.#queue.length > 0 || this.#underWay > 0, storedCount: this.#storedCount };
  }

  /** Resolves when nothing is queued or under way. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.pump();
    });
  }

  #start(): boolean {
    const taken = this.#take();
    const leases = taken.length === 0 ? this.#options.desk.assign([], mostLeases) : [];
    if (taken.length === 0 && leases.length === 0) return false;
    this.#underWay += 1;
    void this.#run(taken, leases).finally(() => {
      this.#underWay -= 1;
      for (const { intent } of taken) this.#busy.delete(intent.runId);
      this.pump();
    });
    return true;
  }

  #take(): Waiting[] {
    // The first of two batches leaves half to the second, so that one is folded while the other is stored; but all that is
    // wanted of a run goes into one, since the second could not have it.
    const most = this.#underWay === 0 && this.#queue.length >= worthHalving ? Math.ceil(this.#queue.length / 2) : mostIntents;
    const taken: Waiting[] = [];
    const left: Waiting[] = [];
    const mine = new Set<RunId>();
    const ending = new Set<TicketId>();
    const isFree = ({ intent: { runId, settles } }: Waiting) =>
      // A ticket ends once: a second intent to end it waits for what the first comes to.
      (mine.has(runId) || !this.#busy.has(runId)) && (settles === undefined || !ending.has(settles.ticketId));
    const isFull = ({ intent: { runId } }: Waiting) =>
      taken.length >= (mine.has(runId) ? mostIntents : most) || taken[0]?.isSuspect === true;
    for (const waiting of this.#queue) {
      if (isFull(waiting) || !isFree(waiting) || (waiting.isSuspect && taken.length > 0)) left.push(waiting);
      else {
        taken.push(waiting);
        mine.add(waiting.intent.runId);
        this.#busy.add(waiting.intent.runId);
        if (waiting.intent.settles !== undefined) ending.add(waiting.intent.settles.ticketId);
      }
    }
    this.#queue = left;
    return taken;
  }

  async #run(taken: readonly Waiting[], leases: readonly Assignment<IssuedTicket>[]): Promise<void> {
    const absent = new Set(taken.filter((waiting) => this.#needsReading(waiting)).map(({ intent }) => intent.runId));
    for (const waiting of taken) waiting.isRead ||= absent.has(waiting.intent.runId);
    let batch: Batch | undefined;
    let result: CommitResult;
    try {
      if (absent.size > 0) await Promise.all([...absent].map((runId) => this.#options.runs.load(runId)));
      batch = this.#fold(taken, leases);
      result = await this.#store(batch);
    } catch (error) {
      if (batch === undefined) this.#options.desk.unassign(leases, new Set());
      else this.#undo(batch);
      this.#failed(taken, error);
      return;
    }
    if (result.stored) this.#announce(batch, result);
    else await this.#recover(batch, result);
  }

  /** A trigger that is tried again may have been stored by its first try. */
  #needsReading({ intent, tries }: Waiting): boolean {
    return this.#options.runs.get(intent.runId) === undefined && (intent.begin === undefined || tries > 0);
  }

  #fold(taken: readonly Waiting[], leases: readonly Assignment<IssuedTicket>[]): Batch {
    const works = new Map<RunId, RunWork>();
    const accepted: Waiting[] = [];
    const idle: { waiting: Waiting; tell: () => void }[] = [];
    const atMs = Math.floor(this.#options.clock.nowMs());
    for (const waiting of taken) {
      try {
        if (this.#admit(waiting.intent, works, atMs)) accepted.push(waiting);
        else idle.push({ waiting, tell: waiting.resolve });
      } catch (error) {
        idle.push({ waiting, tell: () => waiting.reject(error) });
      }
    }
    for (const [runId, work] of works) if (work.events.length === 0) works.delete(runId);
    const issued = [...works.values()].flatMap((work) => [...work.issued.values()]);
    const assigned = [...leases, ...this.#options.desk.assign(issued, mostLeases)];
    return { works, accepted, idle, leases: assigned, issued };
  }

  /** False where the run, as it is known here, need not change. */
  #admit(intent: Intent, works: Map<RunId, RunWork>, atMs: number): boolean {
    const stored = this.#options.runs.get(intent.runId);
    // A run that is stored already when its trigger is tried again was stored by the first try.
    if (intent.begin !== undefined && stored !== undefined) return true;
    const live = stored ?? intent.begin?.live;
    if (live === undefined) throw new HiveError('NOT_FOUND', `there is no run ${intent.runId}`);
    const work = works.get(intent.runId) ?? newWork(live, atMs, intent.begin?.origin);
    const event = intent.judge(work.after.state, atMs);
    if (event === undefined) return false;
    works.set(intent.runId, work);
    advance(work, event, this.#options.findAgent);
    if (intent.settles !== undefined) work.settled.push(intent.settles);
    if (event.type === 'approval.decided')
      work.closed.set(event.approvalId, {
        id: event.approvalId,
        status: event.approved ? 'APPROVED' : 'REJECTED',
        by: event.by,
        notes: event.notes,
      });
    work.actors.push(intent.actor);
    return true;
  }

  #store(batch: Batch): Promise<CommitResult> | CommitResult {
    const holders = new Map<TicketId, WorkerId>(batch.leases.map(({ ticket, workerId }) => [ticket.ticketId, workerId]));
    // In the order of their ids, so that two control planes lock the same rows in the same order.
    const fresh = idsOf(batch.issued);
    const leases: LeaseClaim[] = batch.leases
      .filter(({ ticket }) => !fresh.has(ticket.ticketId))
      .map(({ ticket, workerId }) => ({ ticketId: ticket.ticketId, workerId, isThrottled: ticket.throttles !== undefined }));
    leases.sort(byThrottleThenId);
    const runs = [...batch.works.values()].map((work) => commitOf(work, holders)).sort(byId((run) => run.runId));
    if (runs.length === 0 && leases.length === 0) return { stored: true, counters: new Map(), refusals: new Map() };
    return this.#options.store.commit({ runs, leases, leaseMs: this.#options.desk.leaseMs });
  }

  /** From here on it is stored, whatever a listener throws. */
  #announce(batch: Batch, answers: LeaseAnswers): void {
    this.#storedCount += 1;
    for (const work of batch.works.values()) this.#safely(() => this.#tell(work));
    this.#safely(() => this.#options.desk.deliver(batch.leases, answers, batch.issued));
    for (const { resolve } of batch.accepted) resolve();
    // Each goes back to the front: the last one first, so that they stay in their order.
    for (const idle of batch.idle.toReversed()) this.#tellOrRead(batch, idle);
  }

  /** That nothing changes rests on what was stored with it, or on what was read; memory alone is no ground, so the run is read then. */
  #tellOrRead({ works }: Batch, { waiting, tell }: Batch['idle'][number]): void {
    const { runId } = waiting.intent;
    if (works.has(runId) || waiting.isRead) return tell();
    this.#options.runs.forget(runId);
    this.#queue.unshift(waiting);
  }

  #tell(work: RunWork): void {
    const { before, after, notices, settled, revoked, holding, rankShiftMs } = work;
    const { runs, desk, board, driver, breakers, follow } = this.#options;
    const live = { ...after, version: before.version + 1 };
    if (isTerminal(runStatusOf(live.state))) runs.forget(live.runId);
    else runs.keep(live);
    const wakeAtMs = wakeAtOf(live.state);
    if (wakeAtMs !== undefined && wakeAtMs !== wakeAtOf(before.state)) driver().wakeAt(live.runId, wakeAtMs);
    desk.close(
      settled.map(({ ticketId }) => ticketId),
      false,
    );
    desk.close(revoked, true);
    if (holding === 'hold') desk.hold(live.runId);
    if (holding === 'free') desk.noticeMore();
    if (rankShiftMs !== 0) desk.rank(live.runId, rankShiftMs);
    board.post(live, notices);
    for (const verdict of verdictsOf(work)) breakers.observe(verdict);
    const consequences = consequencesOf(work);
    if (consequences !== undefined) follow(consequences);
  }

  #safely(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#options.log.error({ err: error }, 'what is stored could not be told');
    }
  }

  /** Nothing was stored: sort out who caused it, and let everybody else try again at once. */
  async #recover(batch: Batch, result: Exclude<CommitResult, { stored: true }>): Promise<void> {
    this.#undo(batch);
    const again = batch.idle.map(({ waiting }) => waiting);
    for (const waiting of batch.accepted) {
      const { intent } = waiting;
      if (result.reason === 'not-held' && intent.settles !== undefined && result.ticketIds.has(intent.settles.ticketId))
        await this.#refuse(waiting);
      else if (result.reason === 'key-taken' && result.runIds.has(intent.runId)) waiting.reject(new HiveError('IDEMPOTENCY_KEY_REUSED'));
      else again.push(waiting);
    }
    this.#queue.unshift(...again);
  }

  async #refuse({ intent, resolve, reject }: Waiting): Promise<void> {
    try {
      const stored = await this.#options.store.load(intent.runId);
      if (stored !== undefined && intent.isRecorded?.(stored) === true) resolve();
      else reject(new HiveError('TICKET_NOT_HELD'));
    } catch (error) {
      reject(error);
    }
  }

  #undo(batch: Batch): void {
    this.#options.desk.unassign(batch.leases, idsOf(batch.issued));
    for (const runId of batch.works.keys()) this.#options.runs.forget(runId);
  }

  #failed(taken: readonly Waiting[], error: unknown): void {
    if (HiveError.is(error) && error.code === 'DATABASE_UNAVAILABLE') this.#again(taken, error);
    else if (taken.length === 1) for (const { reject } of taken) reject(error);
    else this.#suspect(taken, error);
  }

  /** It is not known whether the batch was stored: its runs are read again, and what is not there is done again. */
  #again(taken: readonly Waiting[], error: unknown): void {
    this.#options.log.warn({ err: error, intentCount: taken.length }, 'a batch may not be stored; trying again');
    for (const waiting of taken) waiting.tries += 1;
    for (const { reject } of taken.filter(({ tries }) => tries >= mostTries)) reject(error);
    this.#queue.unshift(...taken.filter(({ tries }) => tries < mostTries));
    this.#rest();
  }

  /** Nothing was stored, and one of them is the cause. */
  #suspect(taken: readonly Waiting[], error: unknown): void {
    this.#options.log.error({ err: error, intentCount: taken.length }, 'a batch failed; its intents are tried one by one');
    for (const waiting of taken) waiting.isSuspect = true;
    this.#queue.unshift(...taken);
    if (taken.length === 0) this.#rest();
  }

  /** Starts nothing for a while, so that a fault that lasts is not asked for without end. */
  #rest(): void {
    if (this.#isResting) return;
    this.#isResting = true;
    this.#options.clock.after(pauseAfterFaultMs, () => {
      this.#isResting = false;
      this.pump();
    });
  }
}

const idsOf = (tickets: readonly IssuedTicket[]): ReadonlySet<TicketId> => new Set(tickets.map(({ ticketId }) => ticketId));

const byId =
  <Row>(idOf: (row: Row) => string) =>
  (a: Row, b: Row): number =>
    idOf(a) < idOf(b) ? -1 : 1;

// The order of the others is that of the scheduler: the most urgent asks for room first, and no row is waited for.
const byThrottleThenId = (a: LeaseClaim, b: LeaseClaim): number => {
  if (a.isThrottled || b.isThrottled) return Number(a.isThrottled) - Number(b.isThrottled);
  return a.ticketId < b.ticketId ? -1 : 1;
};
