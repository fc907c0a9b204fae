import {
  HiveError,
  type LeasedTicket,
  mqttAgentIdIn,
  type MqttAgentView,
  type Outcome,
  type TicketId,
  type WorkerId,
} from '@hivekeeper/contract';
import { type Clock, type Log, pause, type Timer } from '@hivekeeper/kernel';
import { LRUCache } from 'lru-cache';
import type { Runs } from '../runs/index.ts';
import type { TicketDesk, WorkerLink } from '../tickets/index.ts';
import type { Broker, BrokerListener, OpenBroker } from './broker.ts';
import { Roster } from './roster.ts';
import { answerIn, failure, type NewTask, taskOf } from './task.ts';

/** What {@link Gateway} needs. */
export interface GatewayOptions {
  readonly openBroker: OpenBroker;
  readonly desk: TicketDesk;
  readonly runs: Pick<Runs, 'settle' | 'workOf'>;
  readonly workerId: WorkerId;
  /** Of which agents on the broker the platform itself says that they are there. */
  readonly isOwn: (agentId: string) => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** A ticket in our hands. */
interface Errand {
  readonly ticket: LeasedTicket;
  readonly deadline: Timer;
  /** Absent until it is known what to send. */
  task?: Extract<NewTask, { readonly kind: 'task' }>;
}

/** Tasks that may be at agents at once. */
const maxParallel = 1_000;
// Agents connect again within two seconds of their broker's return.
const graceMs = 10_000;
// Answers that nobody waits for yet: to a control plane that was killed, whose tickets we may be given.
const unclaimed = { max: 1_000, maxSize: 64 * 1024 * 1024, ttl: 3_600_000 };
const longestPauseMs = 2_000;

/**
 * The worker of this control plane that lets agents over MQTT do its tickets. It holds them as any worker does: leases are
 * renewed while the agent thinks, and run out where this process dies. Then another one sends the same task again, and the
 * first answer that comes is the ticket's result; the token of its lease lets in one.
 */
export class Gateway implements AsyncDisposable {
  readonly #options: GatewayOptions;
  readonly #roster: Roster;
  readonly #errands = new Map<TicketId, Errand>();
  readonly #answers = new LRUCache<string, Outcome>({ ...unclaimed, sizeCalculation: (outcome) => JSON.stringify(outcome).length });
  readonly #broker: Broker;
  readonly #heartbeat: Timer;
  readonly #closing = new AbortController();
  #grace: Timer | undefined;
  #isConnected = false;
  /** What we sit at the desk for, in one text; undefined before we do. */
  #seatedFor: string | undefined;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#roster = new Roster(options.isOwn);
    this.#heartbeat = options.clock.every(options.desk.leaseMs / 4, () => void this.#renew());
    this.#broker = options.openBroker(this.#listener());
  }

  /** Whether the broker can be reached now. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Every agent that was heard, by name. */
  agents(): MqttAgentView[] {
    return this.#roster.views();
  }

  /** The agent that nodes call so; undefined where it was never heard. */
  agent(name: string): MqttAgentView | undefined {
    const id = mqttAgentIdIn(name);
    return id === undefined ? undefined : this.#roster.view(id);
  }

  /** Hands back what agents have not answered: it is sent again by whoever gets it, and is the same task. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#heartbeat.cancel();
    this.#grace?.cancel();
    const { desk, workerId, log } = this.#options;
    const held = [...this.#errands.values()].map(({ ticket: { ticketId, token } }) => ({ ticketId, token }));
    for (const { ticketId } of held) this.#drop(ticketId);
    if (this.#seatedFor !== undefined)
      await desk
        .release(workerId, held)
        .catch((error: unknown) => log.warn({ err: error }, 'tickets run out instead of being handed back'));
    await this.#broker[Symbol.asyncDispose]();
  }

  #listener(): BrokerListener {
    const { clock } = this.#options;
    return {
      connected: () => {
        this.#isConnected = true;
        this.#grace?.cancel();
        this.#grace = clock.after(graceMs, () => {
          this.#roster.forgetOlderEras();
          this.#sit();
        });
        // The broker may have forgotten what it had.
        this.#sendAgain(() => true);
        this.#sit();
      },
      lost: () => {
        this.#isConnected = false;
        this.#grace?.cancel();
        this.#roster.beginEra();
        this.#sit();
      },
      heardStatus: (topic, payload) => {
        const came = this.#roster.hear(topic, payload, clock.nowMs());
        // It may have forgotten what it had; and nobody kept for it what came while it was away.
        if (came !== undefined) this.#sendAgain(({ ticket }) => mqttAgentIdIn(ticket.agent.name) === came);
        this.#sit();
      },
      heardAnswer: (topic, payload) => this.#take(topic, payload),
    };
  }

  /** Asks the desk for tickets of the agents that are there; of none while the broker is away. */
  #sit(): void {
    const { desk, workerId } = this.#options;
    if (this.#closing.signal.aborted) return;
    const capabilities = this.#isConnected ? this.#roster.available() : [];
    const seatedFor = capabilities.join(' ');
    if (seatedFor === (this.#seatedFor ?? '')) return;
    this.#seatedFor = seatedFor;
    const link: WorkerLink = {
      workerId,
      name: 'mqtt',
      capabilities,
      maxParallel,
      isListening: true,
      deliver: (tickets) => tickets.forEach((ticket) => this.#begin(ticket)),
      revoke: (ticketIds) => ticketIds.forEach((ticketId) => this.#drop(ticketId)),
    };
    desk.attach(link);
    this.#tellCredits();
    desk.noticeMore();
  }

  #tellCredits(): void {
    if (this.#seatedFor !== undefined && !this.#closing.signal.aborted)
      this.#options.desk.setCredits(this.#options.workerId, maxParallel - this.#errands.size);
  }

  #begin(ticket: LeasedTicket): void {
    const { clock, log } = this.#options;
    const { ticketId, timeoutMs, agent } = ticket;
    const deadline = clock.after(timeoutMs, () => {
      const isThere = this.agent(agent.name)?.state === 'available';
      const absence = isThere ? '' : '; no replica of it is there';
      void this.#settle(ticket, failure('NODE_TIMED_OUT', `${agent.name} did not answer within ${timeoutMs} ms${absence}`));
    });
    const errand: Errand = { ticket, deadline };
    this.#errands.set(ticketId, errand);
    this.#dispatch(errand).catch((error: unknown) => log.warn({ ticketId, err: error }, 'a task was not sent'));
  }

  async #dispatch(errand: Errand): Promise<void> {
    const { ticket } = errand;
    const work = await this.#untilDone(() => this.#options.runs.workOf(ticket.ticketId));
    if (work === undefined || this.#errands.get(ticket.ticketId) !== errand) return this.#drop(ticket.ticketId);
    const task = taskOf(ticket, work);
    if (task.kind === 'unfit') return void (await this.#settle(ticket, task.outcome));
    errand.task = task;
    const answer = this.#answers.get(task.key);
    if (answer === undefined) return this.#send(task);
    this.#answers.delete(task.key);
    await this.#settle(ticket, answer);
  }

  /** Whoever has done a task answers it again, or is silent; so this harms nobody. */
  #sendAgain(isConcerned: (errand: Errand) => boolean): void {
    for (const errand of this.#errands.values()) if (errand.task !== undefined && isConcerned(errand)) this.#send(errand.task);
  }

  #send(task: Extract<NewTask, { readonly kind: 'task' }>): void {
    this.#broker.send(task.topic, task.payload).catch((error: unknown) => {
      const errand = this.#errandOf(task.key);
      if (errand === undefined) return;
      void this.#settle(errand.ticket, failure('BROKER_REFUSED', error instanceof Error ? error.message : String(error)));
    });
  }

  /** Returns when the result is stored, so that the broker keeps the answer until then. @throws HiveError SHUTTING_DOWN */
  async #take(topic: string, payload: Uint8Array): Promise<void> {
    const answer = answerIn(topic, payload);
    if (answer === undefined) return;
    for (let errand = this.#errandOf(answer.key); errand !== undefined; errand = this.#errandOf(answer.key)) {
      const end = await this.#settle(errand.ticket, answer.outcome);
      if (end === 'unknown') throw new HiveError('SHUTTING_DOWN');
      // The ticket was lost meanwhile; another one of the same task may be ours.
      if (end === 'stored') return;
    }
    this.#answers.set(answer.key, answer.outcome);
  }

  #errandOf(key: string): Errand | undefined {
    return [...this.#errands.values()].find(({ task }) => task?.key === key);
  }

  /** Hands in a result; afterwards the ticket is no longer ours. `unknown`: this control plane ends before it is stored. */
  async #settle({ ticketId, token }: LeasedTicket, outcome: Outcome): Promise<'stored' | 'refused' | 'unknown'> {
    const { runs, workerId, log } = this.#options;
    try {
      await this.#untilDone(() => runs.settle({ workerId, ticketId, token, outcome }));
      this.#drop(ticketId);
      return 'stored';
    } catch (error) {
      this.#drop(ticketId);
      if (this.#closing.signal.aborted) return 'unknown';
      log.info({ ticketId, err: error }, 'an answer is not wanted any more');
      return 'refused';
    }
  }

  /** Tries again while the database is away. Rejects where trying again changes nothing, and when this control plane ends. */
  async #untilDone<T>(call: () => Promise<T>): Promise<T> {
    for (let pauseMs = 50; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      try {
        return await call();
      } catch (error) {
        if (HiveError.is(error) && error.entry.consequence === 'terminal') throw error;
        this.#options.log.warn({ err: error }, 'the database did not take it yet');
      }
      await pause(this.#options.clock, pauseMs, this.#closing.signal);
    }
  }

  #drop(ticketId: TicketId): void {
    const errand = this.#errands.get(ticketId);
    if (errand === undefined) return;
    errand.deadline.cancel();
    this.#errands.delete(ticketId);
    this.#tellCredits();
  }

  async #renew(): Promise<void> {
    const { desk, workerId, log } = this.#options;
    if (this.#errands.size === 0) return;
    const held = [...this.#errands.values()].map(({ ticket: { ticketId, token } }) => ({ ticketId, token }));
    try {
      for (const ticketId of await desk.heartbeat(workerId, held)) this.#drop(ticketId);
    } catch (error) {
      log.warn({ err: error }, 'leases of tasks at agents over MQTT were not renewed');
    }
  }
}
