import { HiveError, type PollRequest, type PollResponse, type RegisterWorker, type TicketId, type WorkerId } from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import { Mailbox, type TicketDesk } from '../../flow/tickets/index.ts';

interface Line {
  readonly mailbox: Mailbox;
  /** What the last answer carried: an answer may be lost, and the next poll tells. */
  sent: readonly TicketId[];
  /** True until an answer was given on this line: the worker may have lost what it was sent before it registered again. */
  isNew: boolean;
}

/** The workers' ends of their long polls. */
export class WorkerLines {
  readonly #desk: TicketDesk;
  readonly #clock: Clock;
  readonly #lines = new Map<WorkerId, Line>();

  constructor(desk: TicketDesk, clock: Clock) {
    this.#desk = desk;
    this.#clock = clock;
  }

  /** Seats a worker at the desk with a line of its own. Idempotent per worker id: the newest line gets what comes. */
  register(worker: RegisterWorker): void {
    const seated = new Set(this.#desk.workers().map(({ id }) => id));
    for (const workerId of this.#lines.keys()) if (!seated.has(workerId)) this.#lines.delete(workerId);
    const mailbox = new Mailbox(worker, this.#clock);
    this.#lines.set(worker.workerId, { mailbox, sent: [], isNew: true });
    this.#desk.attach(mailbox);
  }

  /** Waits for work. @throws HiveError NOT_FOUND where the worker has to register first. */
  async poll({ workerId, credits, held, waitMs }: PollRequest, hangUp: AbortSignal): Promise<PollResponse> {
    const line = this.#lines.get(workerId);
    if (line === undefined) throw new HiveError('NOT_FOUND', `worker ${workerId} is not registered here`);
    const heldIds = new Set(held.map(({ ticketId }) => ticketId));
    if (this.#mayMiss(line, heldIds))
      await this.#desk.reclaim(workerId, (ticketId) => heldIds.has(ticketId) || line.mailbox.waitingIds.includes(ticketId));
    // What is on its way to the worker it could not count when it named its credits.
    this.#desk.setCredits(workerId, credits - line.mailbox.waitingIds.length);
    const { tickets, revoked } = await line.mailbox.collect(this.#desk.mayLeave(workerId) ? 0 : waitMs, hangUp);
    if (hangUp.aborted) {
      // Nobody is at this end any more: nothing more is leased to it before it asks again.
      if (this.#lines.get(workerId) === line) this.#desk.setCredits(workerId, 0);
      return { tickets: [], revoked: [] };
    }
    this.#desk.seen(workerId);
    line.sent = tickets.map(({ ticketId }) => ticketId);
    line.isNew = false;
    return { tickets, revoked, ...(this.#desk.mayLeave(workerId) && { leave: true }) };
  }

  /** Whether to ask the database what the worker should have: only when something points to a loss, never on an ordinary poll. */
  #mayMiss({ mailbox, sent, isNew }: Line, heldIds: ReadonlySet<TicketId>): boolean {
    return isNew || sent.some((ticketId) => !heldIds.has(ticketId) && this.#desk.leaseOf(ticketId)?.workerId === mailbox.workerId);
  }
}
