import {
  type ErrorCode,
  HiveError,
  type HeartbeatRequest,
  type LeasedTicket,
  type Outcome,
  type PollRequest,
  type PollResponse,
  type ReleaseRequest,
  type TicketId,
  type WorkerId,
} from '@hivekeeper/contract';
import { type Clock, newLog, type Random } from '@hivekeeper/kernel';
import type { Execution } from '../agents/attempt/index.ts';
import { type WorkerApi, newDeliver } from '../report/index.ts';
import type { SocketHooks } from '../session/index.ts';
import { Intake } from './intake.ts';

/** Of every ticket. */
export const leaseMs = 20_000;

/** A ticket, as little of it as intake looks at. */
export const ticketOf = (id: string, token = '1.1'): LeasedTicket =>
  ({
    ticketId: id,
    token,
    runId: 'run',
    nodeId: 'n',
    attempt: 1,
    agent: { name: 'one' },
    leaseMs,
    timeoutMs: 1_000,
  }) as unknown as LeasedTicket;

/** A control plane that answers as the test says, and a worker of two places beside it. */
export class Stage {
  readonly clock: Clock & { advance(byMs: number): Promise<void>; readonly pendingTimers: number };
  readonly polls: PollRequest[] = [];
  readonly beats: HeartbeatRequest[] = [];
  readonly settled: { readonly ticketId: string; readonly outcome: Outcome }[] = [];
  readonly suspended: { readonly ticketId: string; readonly step: string }[] = [];
  /** What agents at work may do to their sessions, by ticket and token. */
  readonly sockets = new Map<string, SocketHooks>();
  socketFault: Error | undefined;
  readonly released: ReleaseRequest['tickets'][number][] = [];
  /** Agents at work, by ticket and token. */
  readonly running = new Map<string, (execution: Execution) => void>();
  readonly killed: string[] = [];
  registerCount = 0;
  revoked: TicketId[] = [];
  /** Answered without waiting, to a poll without credits. */
  lost: LeasedTicket[] = [];
  refusals: Partial<Record<keyof WorkerApi, ErrorCode>> = {};
  isDyingSlowly = false;
  /** Heartbeats are answered once this has resolved. */
  beatGate: Promise<void> = Promise.resolve();
  readonly intake: Intake;
  ended: Promise<void>;
  #answerPoll: ((answer: PollResponse) => void) | undefined;

  constructor({ clock, random }: Pick<Stage, 'clock'> & { readonly random: Random }) {
    this.clock = clock;
    const parts = { clock, random, log: newLog({ level: 'silent', component: 'test' }) };
    const api = this.#api();
    const workerId = 'wrk_1' as WorkerId;
    this.intake = new Intake({
      ...parts,
      api,
      registration: { workerId, name: 'w', capabilities: [], maxParallel: 2 },
      deliver: newDeliver({ ...parts, api, workerId }),
      openSocket: async ({ ticketId, token }, hooks) => {
        if (this.socketFault !== undefined) throw this.socketFault;
        this.sockets.set(`${ticketId} ${token}`, hooks);
        return { directory: '/tmp/socket', path: '/tmp/socket/hive.sock', [Symbol.asyncDispose]: async () => undefined };
      },
      execute: ({ ticketId, token }, { signal, onProgress }) =>
        new Promise((resolve) => {
          onProgress({ of: ticketId });
          this.running.set(`${ticketId} ${token}`, resolve);
          signal.addEventListener('abort', () => {
            this.killed.push(`${ticketId} ${token}`);
            if (!this.isDyingSlowly) resolve({ kind: 'aborted' });
          });
        }),
    });
    this.ended = this.intake.run();
    // Tests that expect a rejection look at `ended` themselves.
    this.ended.catch(() => undefined);
  }

  #api(): WorkerApi {
    const meet = (call: keyof WorkerApi) => {
      const code = this.refusals[call];
      if (code !== undefined) throw new HiveError(code);
    };
    return {
      register: async () => {
        this.registerCount += 1;
        meet('register');
      },
      poll: async (body, signal) => {
        this.polls.push(body);
        meet('poll');
        if (body.waitMs === 0) return { tickets: this.lost, revoked: [] };
        return new Promise((resolve, reject) => {
          this.#answerPoll = resolve;
          signal?.addEventListener('abort', () => reject(signal.reason));
        });
      },
      heartbeat: async (body) => {
        this.beats.push(body);
        meet('heartbeat');
        await this.beatGate;
        return { revoked: this.revoked };
      },
      settle: async ({ ticketId, outcome }) => {
        meet('settle');
        this.settled.push({ ticketId, outcome });
      },
      suspend: async ({ ticketId, suspension }) => {
        meet('suspend');
        this.suspended.push({ ticketId, step: suspension.step });
      },
      release: async ({ tickets }) => {
        meet('release');
        this.released.push(...tickets);
      },
    };
  }

  async hand(...tickets: readonly LeasedTicket[]): Promise<void> {
    await this.answer({ tickets: [...tickets], revoked: [] });
  }

  async answer(answer: PollResponse): Promise<void> {
    await this.clock.advance(0);
    this.#answerPoll?.(answer);
    await this.clock.advance(0);
  }

  async finish(ticket: string): Promise<void> {
    this.running.get(ticket)?.({ kind: 'finished', outcome: { ok: true, output: ticket } });
    await this.clock.advance(0);
  }
}
