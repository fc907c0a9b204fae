import type { LeasedTicket, PollResponse, RegisterWorker, TicketId } from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import type { WorkerLink } from './ticket-store.ts';

/**
 * A worker's link over long polls: collects what comes between polls and answers a waiting one at once.
 * At most one poll waits; a newer one makes the older return empty.
 */
export class Mailbox implements WorkerLink {
  readonly workerId: RegisterWorker['workerId'];
  readonly name: string;
  readonly capabilities: readonly string[];
  readonly lacks: RegisterWorker['lacks'];
  readonly maxParallel: number;
  readonly #clock: Clock;
  #tickets: LeasedTicket[] = [];
  #revoked: TicketId[] = [];
  #wake: (() => void) | undefined;

  constructor(worker: RegisterWorker, clock: Clock) {
    this.workerId = worker.workerId;
    this.name = worker.name;
    this.capabilities = worker.capabilities;
    this.lacks = worker.lacks;
    this.maxParallel = worker.maxParallel;
    this.#clock = clock;
  }

  get isListening(): boolean {
    return this.#wake !== undefined;
  }

  deliver(tickets: readonly LeasedTicket[]): void {
    this.#tickets.push(...tickets);
    this.#wake?.();
  }

  revoke(ticketIds: readonly TicketId[]): void {
    this.#tickets = this.#tickets.filter((ticket) => !ticketIds.includes(ticket.ticketId));
    this.#revoked.push(...ticketIds);
    this.#wake?.();
  }

  /** Ids of tickets waiting here: leased, but not handed over yet. */
  get waitingIds(): readonly TicketId[] {
    return this.#tickets.map((ticket) => ticket.ticketId);
  }

  /** Empties the box, waiting up to `waitMs` for something to be in it, or until the caller hangs up. */
  async collect(waitMs: number, hangUp: AbortSignal): Promise<PollResponse> {
    this.#wake?.();
    if (this.#tickets.length === 0 && this.#revoked.length === 0 && waitMs > 0 && !hangUp.aborted) await this.#something(waitMs, hangUp);
    if (hangUp.aborted) return { tickets: [], revoked: [] };
    const response = { tickets: this.#tickets, revoked: this.#revoked };
    this.#tickets = [];
    this.#revoked = [];
    return response;
  }

  #something(waitMs: number, hangUp: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        timer.cancel();
        hangUp.removeEventListener('abort', finish);
        if (this.#wake === finish) this.#wake = undefined;
        resolve();
      };
      const timer = this.#clock.after(waitMs, finish);
      hangUp.addEventListener('abort', finish, { once: true });
      this.#wake = finish;
    });
  }
}
