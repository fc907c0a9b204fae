import { type Duty, type HeldTicket, HiveError, type TicketId, type WorkerId, type WorkerView } from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import type { SeatedWorker } from './queues.ts';
import type { IssuedTicket, WorkerLink } from './ticket-store.ts';

/** A ticket in the hands of a worker. */
export type Held = IssuedTicket & HeldTicket & { readonly leasedAtMs: number };

/** A worker's place at the desk. */
export interface Seat {
  readonly link: WorkerLink;
  readonly held: Map<TicketId, Held>;
  /** Assigned to it, but not committed or not delivered yet: it cannot have counted them when it names its credits. */
  readonly assigned: Set<TicketId>;
  lastSeenAtMs: number;
  isDraining: boolean;
}

/** What seats need. */
export interface SeatsOptions {
  readonly clock: Clock;
  /** A worker unheard of for this long counts as silent. */
  readonly silentAfterMs: number;
  /** What people ordered of a worker; it gets nothing new unless that is `active`. All are where absent. */
  readonly dutyOf?: ((workerId: WorkerId) => Duty) | undefined;
}

/** Who sits at the desk, and who holds which ticket. */
export class Seats {
  readonly #options: SeatsOptions;
  readonly #seats = new Map<WorkerId, Seat>();
  readonly #holders = new Map<TicketId, WorkerId>();

  constructor(options: SeatsOptions) {
    this.#options = options;
  }

  /** Seats a worker; one that sat here keeps what it had. */
  take(link: WorkerLink): void {
    const { held = new Map<TicketId, Held>(), assigned = new Set<TicketId>() } = this.#seats.get(link.workerId) ?? {};
    this.#seats.set(link.workerId, { link, held, assigned, lastSeenAtMs: this.#options.clock.nowMs(), isDraining: false });
  }

  /** Takes a seat away. Returns what was held there. */
  leave(workerId: WorkerId): readonly Held[] {
    const held = [...(this.#seats.get(workerId)?.held.values() ?? [])];
    for (const { ticketId } of held) this.#holders.delete(ticketId);
    this.#seats.delete(workerId);
    return held;
  }

  get(workerId: WorkerId): Seat | undefined {
    return this.#seats.get(workerId);
  }

  /** The seat of a worker that has to have one. @throws HiveError NOT_FOUND */
  of(workerId: WorkerId): Seat {
    const seat = this.#seats.get(workerId);
    if (seat === undefined) throw new HiveError('NOT_FOUND', `worker ${workerId} is not registered here`);
    return seat;
  }

  all(): readonly Seat[] {
    return [...this.#seats.values()];
  }

  /** The worker was at the other end until now. Returns its seat. @throws HiveError NOT_FOUND */
  heard(workerId: WorkerId): Seat {
    const seat = this.of(workerId);
    seat.lastSeenAtMs = this.#options.clock.nowMs();
    return seat;
  }

  /** How long nothing was heard. Whoever waits at the other end is there. */
  silentMs({ link, lastSeenAtMs }: Seat): number {
    return link.isListening ? 0 : this.#options.clock.nowMs() - lastSeenAtMs;
  }

  dutyOf(workerId: WorkerId): Duty {
    return this.#options.dutyOf?.(workerId) ?? 'active';
  }

  /** Whether a worker that was told to drain has finished what it had. */
  mayLeave(workerId: WorkerId): boolean {
    const seat = this.#seats.get(workerId);
    return this.dutyOf(workerId) === 'draining' && seat !== undefined && takenCountOf(seat) === 0;
  }

  views(): WorkerView[] {
    return this.all().map((seat) => ({
      id: seat.link.workerId,
      name: seat.link.name,
      capabilities: [...seat.link.capabilities],
      ...(seat.link.lacks !== undefined && { lacks: { ...seat.link.lacks } }),
      maxParallel: seat.link.maxParallel,
      heldCount: seat.held.size,
      state: this.#stateOf(seat),
      lastSeenAtMs: seat.link.isListening ? this.#options.clock.nowMs() : seat.lastSeenAtMs,
    }));
  }

  /** As the measures of the queues want them. */
  seated(): SeatedWorker[] {
    return this.all().map((seat) => ({ link: seat.link, state: this.#stateOf(seat), takenCount: takenCountOf(seat) }));
  }

  #stateOf(seat: Seat): WorkerView['state'] {
    const duty = this.dutyOf(seat.link.workerId);
    if (seat.isDraining || duty === 'draining') return 'draining';
    if (duty === 'cordoned') return 'cordoned';
    return this.silentMs(seat) > this.#options.silentAfterMs ? 'silent' : 'connected';
  }

  /** Notes who holds a ticket. */
  hold(seat: Seat, held: Held): void {
    seat.held.set(held.ticketId, held);
    this.#holders.set(held.ticketId, seat.link.workerId);
  }

  /** Who holds the ticket, where anybody here does. */
  holderOf(ticketId: TicketId): { readonly seat: Seat; readonly held: Held } | undefined {
    const workerId = this.#holders.get(ticketId);
    const seat = workerId === undefined ? undefined : this.#seats.get(workerId);
    const held = seat?.held.get(ticketId);
    return seat === undefined || held === undefined ? undefined : { seat, held };
  }

  /** Forgets that the ticket is held there. */
  drop({ held, link }: Seat, ticketId: TicketId): void {
    held.delete(ticketId);
    if (this.#holders.get(ticketId) === link.workerId) this.#holders.delete(ticketId);
  }
}

const takenCountOf = ({ held, assigned }: Seat): number => held.size + assigned.size;
