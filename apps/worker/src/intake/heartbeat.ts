import { HiveError, type HeartbeatRequest, type HeldTicket, type WorkerId } from '@hivekeeper/contract';
import type { Clock, Log, Timer } from '@hivekeeper/kernel';
import type { WorkerApi } from '../report/index.ts';
import type { Session } from '../session/index.ts';
import { withDeadline } from './deadline.ts';
import type { Holdings } from './holdings.ts';

/** What the heart needs. */
export interface HeartOptions {
  readonly api: Pick<WorkerApi, 'heartbeat'>;
  readonly workerId: WorkerId;
  readonly holdings: Holdings;
  readonly clock: Clock;
  readonly log: Log;
  /** The control plane answered that it does not know this worker. */
  readonly onUnknown: () => void;
}

/** Four beats a lease: three may be lost before the fence falls. A beat that hangs is given up when the next is due. */
const beatsPerLease = 4;

/** Renews leases: beats while tickets are held, and never twice at once. */
export class Heart {
  readonly #options: HeartOptions;
  #due: { readonly atMs: number; readonly timer: Timer } | undefined;
  #isBeating = false;
  #isStopped = false;

  constructor(options: HeartOptions) {
    this.#options = options;
  }

  /** To be called when something was accepted: beats within a quarter of the shortest lease. */
  wake(): void {
    const { holdings, clock } = this.#options;
    if (this.#isStopped || this.#isBeating || holdings.live().length === 0) return;
    const delayMs = this.#intervalMs();
    const atMs = clock.monotonicMs() + delayMs;
    if (this.#due !== undefined && this.#due.atMs <= atMs) return;
    this.#due?.timer.cancel();
    this.#due = { atMs, timer: clock.after(delayMs, () => void this.#beat()) };
  }

  /** No further beat. */
  stop(): void {
    this.#isStopped = true;
    this.#due?.timer.cancel();
  }

  #intervalMs(): number {
    return Math.min(...this.#options.holdings.live().map(({ ticket }) => ticket.leaseMs)) / beatsPerLease;
  }

  async #beat(): Promise<void> {
    const { api, workerId, holdings, clock, log, onUnknown } = this.#options;
    this.#due = undefined;
    const sessions = holdings.live();
    if (sessions.length === 0) return;
    this.#isBeating = true;
    const sentAtMs = clock.monotonicMs();
    try {
      const { revoked } = await withDeadline(clock, this.#intervalMs(), (signal) =>
        api.heartbeat({ workerId, tickets: sessions.map(beatOf) }, signal),
      );
      const [lost, kept] = [
        sessions.filter(({ ticket }) => revoked.includes(ticket.ticketId)),
        sessions.filter(({ ticket }) => !revoked.includes(ticket.ticketId)),
      ];
      holdings.renew(kept.map(heldOf), sentAtMs);
      for (const { ticket } of lost) holdings.drop(ticket, 'revoked');
    } catch (error) {
      if (HiveError.is(error) && error.code === 'NOT_FOUND') onUnknown();
      log.warn({ err: error, heldCount: sessions.length }, 'heartbeat failed');
    } finally {
      this.#isBeating = false;
      this.wake();
    }
  }
}

/** The ticket and token of a session. */
export const heldOf = ({ ticket: { ticketId, token } }: Session): HeldTicket => ({ ticketId, token });

function beatOf(session: Session): HeartbeatRequest['tickets'][number] {
  const progress = session.progress();
  return { ...heldOf(session), ...(progress !== undefined && { progress }) };
}
