import { HiveError, type HeldTicket, type RegisterWorker } from '@hivekeeper/contract';
import { type Clock, type Random, pause } from '@hivekeeper/kernel';
import { type WorkerApi, backoffMs } from '../report/index.ts';
import type { SessionParts } from '../session/index.ts';
import { withDeadline } from './deadline.ts';
import { Heart, heldOf } from './heartbeat.ts';
import { Holdings } from './holdings.ts';

/** What intake needs. */
export interface IntakeOptions extends SessionParts {
  readonly api: WorkerApi;
  readonly registration: RegisterWorker;
  readonly clock: Clock;
  readonly random: Random;
}

const pollWaitMs = 25_000;
const drainMs = 25_000;
/** Longest wait for an answer while leaving: with {@link drainMs} and what it takes agents to die, below 30 s. */
const farewellMs = 1_500;

/** A worker's side of the pull: registers, takes tickets, keeps their leases, leaves in order. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #holdings: Holdings;
  readonly #heart: Heart;
  /** Takes nothing more. */
  readonly #leaving = new AbortController();
  /** Waits for nothing more; the reason says whether tickets are given back. */
  readonly #hurry = new AbortController();

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#holdings = new Holdings(options);
    const onUnknown = () => void this.#register().catch(() => undefined);
    this.#heart = new Heart({ ...options, workerId: options.registration.workerId, holdings: this.#holdings, onUnknown });
  }

  /**
   * Works until drained, and rides out a control plane that is away.
   * @throws HiveError UNAUTHENTICATED, FORBIDDEN: the token is wrong, and trying again would not help
   */
  async run(): Promise<void> {
    try {
      await this.#take();
    } catch (error) {
      this.#hurry.abort('abandoned');
      throw error;
    } finally {
      await this.#leave();
    }
  }

  /** Takes nothing more, lets what runs finish within 25 s, gives the rest back; `run` resolves within 30 s. */
  drain(): void {
    this.#leaving.abort();
  }

  /** Ends everything at once and gives nothing back; `run` resolves when no agent is alive. */
  abandon(): void {
    this.#hurry.abort('abandoned');
    this.#leaving.abort();
  }

  async #take(): Promise<void> {
    const { clock, random, log } = this.#options;
    let failureCount = 0;
    while (!this.#leaving.signal.aborted) {
      try {
        await this.#register();
        log.info({ workerId: this.#options.registration.workerId }, 'registered');
        for (; !this.#leaving.signal.aborted; failureCount = 0) await this.#poll();
      } catch (error) {
        if (this.#leaving.signal.aborted) return;
        if (isHopeless(error)) throw error;
        failureCount += 1;
        log.warn({ err: error, failureCount }, 'the control plane does not answer as it should');
        await pause(clock, backoffMs(failureCount, random), this.#leaving.signal).catch(() => undefined);
      }
    }
  }

  async #register(): Promise<void> {
    await this.#options.api.register(this.#options.registration, this.#leaving.signal);
  }

  async #poll(): Promise<void> {
    const { workerId, maxParallel } = this.#options.registration;
    await this.#holdings.below(maxParallel, this.#leaving.signal);
    if (this.#leaving.signal.aborted) return;
    const held = this.#held();
    const request = { workerId, credits: maxParallel - this.#holdings.count, held, waitMs: pollWaitMs };
    const { tickets, revoked, leave = false } = await this.#options.api.poll(request, this.#leaving.signal);
    for (const ticket of held) if (revoked.includes(ticket.ticketId)) this.#holdings.drop(ticket, 'revoked');
    for (const ticket of tickets) this.#holdings.accept(ticket);
    this.#heart.wake();
    if (leave) this.drain();
  }

  async #leave(): Promise<void> {
    const { clock } = this.#options;
    const timer = clock.after(drainMs, () => this.#hurry.abort('drained'));
    if (!this.#hurry.signal.aborted) await this.#tolerantly(() => this.#giveBackLost());
    await this.#holdings.below(1, this.#hurry.signal);
    timer.cancel();
    const isInOrder = this.#hurry.signal.reason !== 'abandoned';
    const unfinished = this.#holdings.dropAll(isInOrder ? 'drained' : 'abandoned').map(heldOf);
    await this.#holdings.below(1);
    this.#heart.stop();
    if (isInOrder) await this.#tolerantly(() => this.#giveBack(unfinished));
  }

  /** A poll cut off in flight may have leased tickets on their way to us: asked without credits, only those come again. */
  async #giveBackLost(): Promise<void> {
    const {
      api,
      clock,
      registration: { workerId },
    } = this.#options;
    const held = this.#held();
    const { tickets } = await withDeadline(clock, farewellMs, (signal) => api.poll({ workerId, credits: 0, held, waitMs: 0 }, signal));
    const isOurs = (ticketId: string) => held.some((ticket) => ticket.ticketId === ticketId);
    await this.#giveBack(tickets.filter(({ ticketId }) => !isOurs(ticketId)).map(({ ticketId, token }) => ({ ticketId, token })));
  }

  async #giveBack(tickets: HeldTicket[]): Promise<void> {
    const {
      api,
      clock,
      registration: { workerId },
    } = this.#options;
    if (tickets.length > 0) await withDeadline(clock, farewellMs, (signal) => api.release({ workerId, tickets }, signal));
  }

  /** Leases that are not given back run out by themselves. */
  async #tolerantly(call: () => Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      this.#options.log.warn({ err: error }, 'tickets could not be given back');
    }
  }

  #held(): HeldTicket[] {
    return this.#holdings.live().map(heldOf);
  }
}

const isHopeless = (error: unknown): boolean => HiveError.is(error) && (error.code === 'UNAUTHENTICATED' || error.code === 'FORBIDDEN');
