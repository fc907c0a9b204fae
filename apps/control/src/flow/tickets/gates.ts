import type { TenantId, TicketId } from '@hivekeeper/contract';
import TinyQueue from 'tinyqueue';
import { fullKeyOf, isFreedByEnd, isPlace, type Throttle } from './throttle.ts';

/** A ticket that waits for room under its keys. */
export interface ThrottledTicket {
  readonly ticketId: TicketId;
  readonly tenantId: TenantId;
  readonly rankMs: number;
  readonly throttles?: readonly Throttle[] | undefined;
}

interface Gate<Ticket> {
  /** Places, as the last ticket said; a rate, a breaker and a budget have none. */
  limit: number;
  /** Tickets this control plane leased, or is about to. */
  taken: number;
  /** So many more leases are worth a try. */
  room: number;
  /** One more is worth a try, whatever is believed. */
  isProbed: boolean;
  readonly parked: TinyQueue<Ticket>;
}

const gatesKept = 1_000;

/**
 * Where tickets wait whose key has no room, one heap per key. What is known here of a key's room is a belief: the database
 * judges each lease, other control planes lease too, and nobody is sure to hear of them. Too much hope costs a lease that is
 * not granted, too little a pause until the next {@link probe}. Costs O(keys of the ticket × log tickets) per call.
 */
export class Gates<Ticket extends ThrottledTicket> {
  readonly #gates = new Map<string, Gate<Ticket>>();
  readonly #waits: (ticket: Ticket) => boolean;
  readonly #release: (ticket: Ticket) => void;
  #mostGates = gatesKept;

  /** `waits` says whether a parked ticket is to be handed out still; `release` takes one that may have room now. */
  constructor(waits: (ticket: Ticket) => boolean, release: (ticket: Ticket) => void) {
    this.#waits = waits;
    this.#release = release;
  }

  /** True where the ticket may be leased as far as is known. */
  hasRoom(ticket: Ticket): boolean {
    return this.#fullGateOf(ticket) === undefined;
  }

  /** Lets a ticket without room wait for it; one that has room behind it goes on. */
  park(ticket: Ticket): void {
    this.#fullGateOf(ticket)?.parked.push(ticket);
    this.wake(ticket);
  }

  /** The ticket is about to be leased. */
  take(ticket: Ticket): void {
    for (const throttle of ticket.throttles ?? []) {
      const gate = this.#gateOf(ticket, throttle);
      if (isPlace(throttle)) gate.taken += 1;
      gate.room = Math.max(0, gate.room - 1);
      gate.isProbed = false;
    }
  }

  /** The ticket is leased: where nobody knew of room there may be more. */
  granted(ticket: Ticket): void {
    for (const throttle of ticket.throttles ?? []) {
      const gate = this.#gateOf(ticket, throttle);
      gate.taken = Math.min(gate.taken, gate.limit);
      gate.room = Math.max(1, gate.room);
      this.#wake(gate);
    }
  }

  /** The ticket was not leased after all: because `fullKey` has no room, or for another reason. */
  refused(ticket: Ticket, fullKey?: string): void {
    for (const throttle of ticket.throttles ?? []) {
      const gate = this.#gateOf(ticket, throttle);
      gate.taken = Math.max(0, gate.taken - 1);
      gate.room = throttle.key === fullKey ? 0 : Math.min(gate.limit, gate.room + 1);
      this.#wake(gate);
    }
  }

  /** The ticket is leased no more. A rate and a breaker have no more room for that. */
  ended(ticket: Ticket): void {
    for (const throttle of ticket.throttles ?? []) {
      if (!isFreedByEnd(throttle)) continue;
      const gate = this.#gateOf(ticket, throttle);
      if (isPlace(throttle)) gate.taken = Math.max(0, gate.taken - 1);
      gate.room = Math.min(gate.limit, gate.room + 1);
      this.#wake(gate);
    }
  }

  /** The key may have room: somebody said so, or its time has come. */
  open(fullKey: string): void {
    const gate = this.#gates.get(fullKey);
    if (gate === undefined) return;
    gate.room = Math.max(1, gate.room);
    this.#wake(gate);
  }

  /** Tries one ticket of every key that any wait for: nobody may have said that there is room. */
  probe(): void {
    for (const gate of this.#gates.values()) {
      if (this.#headOf(gate) === undefined) continue;
      gate.isProbed = true;
      this.#wake(gate);
    }
  }

  /** Lets go on whatever waits behind a ticket that does not wait for its keys any more. */
  wake(ticket: Ticket): void {
    for (const throttle of ticket.throttles ?? []) this.#wake(this.#gateOf(ticket, throttle));
  }

  /** The keys that tickets wait for here, each with its tenant. */
  parkedKeys(): string[] {
    return [...this.#gates].flatMap(([name, gate]) => (this.#headOf(gate) === undefined ? [] : [name]));
  }

  #fullGateOf(ticket: Ticket): Gate<Ticket> | undefined {
    for (const throttle of ticket.throttles ?? []) {
      const gate = this.#gateOf(ticket, throttle);
      if (!hasRoom(gate)) return gate;
    }
    return undefined;
  }

  #wake(gate: Gate<Ticket>): void {
    if (!hasRoom(gate)) return;
    const ticket = this.#headOf(gate);
    if (ticket === undefined) return;
    gate.parked.pop();
    this.#release(ticket);
  }

  #headOf({ parked }: Gate<Ticket>): Ticket | undefined {
    let ticket = parked.peek();
    while (ticket !== undefined && !this.#waits(ticket)) {
      parked.pop();
      ticket = parked.peek();
    }
    return ticket;
  }

  #gateOf({ tenantId }: Ticket, throttle: Throttle): Gate<Ticket> {
    const name = fullKeyOf(tenantId, throttle.key);
    const limit = isPlace(throttle) ? throttle.limit : Infinity;
    const known = this.#gates.get(name);
    if (known !== undefined) {
      if (known.limit !== limit) known.room += Math.max(0, limit - known.limit);
      known.limit = limit;
      return known;
    }
    if (this.#gates.size >= this.#mostGates) this.#dropIdle();
    const room = throttle.kind === 'breaker' || throttle.kind === 'budget' ? Infinity : throttle.limit;
    const gate: Gate<Ticket> = { limit, taken: 0, room, isProbed: false, parked: new TinyQueue<Ticket>([], (a, b) => a.rankMs - b.rankMs) };
    this.#gates.set(name, gate);
    return gate;
  }

  /** Expressions make ever new keys. The next look comes when there are twice as many, so that it costs a constant each. */
  #dropIdle(): void {
    for (const [name, gate] of this.#gates) if (gate.taken === 0 && this.#headOf(gate) === undefined) this.#gates.delete(name);
    this.#mostGates = Math.max(gatesKept, 2 * this.#gates.size);
  }
}

const hasRoom = ({ isProbed, room, taken, limit }: Gate<unknown>): boolean => isProbed || (room > 0 && taken < limit);
