import type { HeldTicket, LeasedTicket, TicketId } from '@hivekeeper/contract';
import type { Timer } from '@hivekeeper/kernel';
import { type DropReason, type Session, type SessionParts, isOver, openSession } from '../session/index.ts';

interface Entry {
  readonly session: Session;
  fence: Timer;
}

/**
 * Self-fencing: where no renewal came for a lease's time another worker may have the ticket, so the agent must not act
 * any more. It is stopped this much earlier, because stopping takes time.
 */
const fenceMarginMs = 1_000;

/** What this worker holds: one session a ticket, each with a fence. A dropped session keeps its place until it is dead. */
export class Holdings {
  readonly #parts: SessionParts;
  readonly #entries = new Map<TicketId, Entry>();
  readonly #dying = new Set<Session>();
  readonly #watchers = new Set<() => void>();

  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  /** Places taken. */
  get count(): number {
    return this.#entries.size + this.#dying.size;
  }

  /** Sessions that still want their lease. */
  live(): readonly Session[] {
    return [...this.#entries.values()].map(({ session }) => session).filter((session) => !isOver(session.state()));
  }

  /** Opens a session. One for the same ticket with another token is dropped, and gone before the new one starts. */
  accept(ticket: LeasedTicket): void {
    const before = this.#entries.get(ticket.ticketId)?.session;
    if (before?.ticket.token === ticket.token) return;
    if (before !== undefined) this.drop(before.ticket, 'superseded');
    const predecessors = [...this.#dying].filter((session) => session.ticket.ticketId === ticket.ticketId).map(({ ended }) => ended);
    const session = openSession(
      ticket,
      this.#parts,
      Promise.all(predecessors).then(() => undefined),
    );
    this.#entries.set(ticket.ticketId, { session, fence: this.#fence(ticket, this.#parts.clock.monotonicMs()) });
    void session.ended.then(() => this.#forget(session));
  }

  /** The leases named were good at `atMs` of the monotonic clock. */
  renew(tickets: readonly HeldTicket[], atMs: number): void {
    for (const ticket of tickets) {
      const entry = this.#entryOf(ticket);
      if (entry === undefined) continue;
      entry.fence.cancel();
      entry.fence = this.#fence(entry.session.ticket, atMs);
    }
  }

  /** Drops the session of that ticket if it has that very token: an answer may be older than a new lease. */
  drop(ticket: HeldTicket, reason: DropReason): void {
    const entry = this.#entryOf(ticket);
    if (entry === undefined) return;
    this.#dying.add(entry.session);
    this.#remove(ticket.ticketId, entry);
    entry.session.drop(reason);
  }

  /** Drops everything and tells what that was. */
  dropAll(reason: DropReason): readonly Session[] {
    const sessions = this.live();
    for (const { ticket } of sessions) this.drop(ticket, reason);
    return sessions;
  }

  /** Resolves as soon as fewer than `limit` places are taken, or the signal aborts. */
  async below(limit: number, signal?: AbortSignal): Promise<void> {
    while (this.count >= limit && !signal?.aborted) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#watchers.delete(wake);
          signal?.removeEventListener('abort', wake);
          resolve();
        };
        this.#watchers.add(wake);
        signal?.addEventListener('abort', wake);
      });
    }
  }

  #entryOf({ ticketId, token }: HeldTicket): Entry | undefined {
    const entry = this.#entries.get(ticketId);
    return entry?.session.ticket.token === token ? entry : undefined;
  }

  #fence(ticket: LeasedTicket, renewedAtMs: number): Timer {
    const { clock } = this.#parts;
    const lastMs = Math.max(ticket.leaseMs - fenceMarginMs, ticket.leaseMs / 2);
    return clock.after(Math.max(0, renewedAtMs + lastMs - clock.monotonicMs()), () => this.drop(ticket, 'fenced'));
  }

  #forget(session: Session): void {
    const entry = this.#entryOf(session.ticket);
    if (entry?.session === session) this.#remove(session.ticket.ticketId, entry);
    this.#dying.delete(session);
    for (const wake of [...this.#watchers]) wake();
  }

  #remove(ticketId: TicketId, entry: Entry): void {
    entry.fence.cancel();
    this.#entries.delete(ticketId);
  }
}
