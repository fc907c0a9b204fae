import { setTimeout as wait } from 'node:timers/promises';
import type { Client } from '@hivekeeper/client';
import { HiveError } from '@hivekeeper/contract';
import { retry } from '@hivekeeper/kernel';
import { resolve } from 'node:path';
import type postgres from 'postgres';
import { Caller, type CallerOptions } from './caller.ts';
import { Deck } from './deck.ts';
import type { Fleet } from './fleet.ts';
import { type FollowUp, type Kind, kinds } from './kinds.ts';
import { openPayments } from './payments.ts';
import { Person } from './person.ts';

const agents = ['scribe', 'payer'].map((name) => resolve(import.meta.dirname, '../fixtures', name));
const lookIntervalMs = 100;
/** One instant of the schedule to the next. */
const tickSeconds = 3;

/** What a load needs. */
export interface LoadOptions extends CallerOptions {
  /** Past the product: only to keep so many runs going, and to see what people are asked. */
  readonly sql: postgres.Sql;
  readonly runsAtOnce: number;
  /** See {@link Kind}. */
  readonly hasLedger: boolean;
}

/** Registers the agents and deploys the workflows of the load. */
export async function prepare({ planes, executions }: Fleet, { hasLedger = true }: { readonly hasLedger?: boolean } = {}): Promise<void> {
  const client = planes[0]?.client as Client;
  await openPayments(executions);
  for (const entryPath of agents) await client.registerAgent({ entryPath });
  for (const { name, nodes } of kinds) await client.deployWorkflow({ name, nodes: nodes(executions, hasLedger) });
}

/** What was seen of runs that were paused. */
export interface PauseSightings {
  /** Pauses that held from their answer until the end of the look. */
  readonly watched: number;
  /** Runs of which a ticket was leased meanwhile. */
  readonly broken: readonly string[];
}

/** Clients that start runs and follow them up; people who answer; a schedule. */
export class Load {
  readonly #options: LoadOptions;
  readonly #busy = new Set<Promise<void>>();
  readonly #caller: Caller;
  readonly #person: Person;
  readonly #kinds: Deck<Kind>;
  readonly #pauses = { watched: 0, broken: [] as string[] };
  #startCount = 0;
  #endedCount = 0;
  #isStarting = true;
  #isOver = false;
  #life: Promise<void> | undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#kinds = new Deck(options.random, new Map(kinds.map((kind) => [kind, kind.share])));
    this.#caller = new Caller(options);
    this.#person = new Person({ ...options, caller: this.#caller, executions: options.fleet.executions });
  }

  /** See {@link Caller.internalErrors}. */
  get internalErrors(): readonly string[] {
    return this.#caller.internalErrors;
  }

  /** Runs that had ended when somebody last looked. */
  get endedCount(): number {
    return this.#endedCount;
  }

  get pauses(): PauseSightings {
    return this.#pauses;
  }

  /** Deploys the workflows, and begins. */
  async begin(): Promise<void> {
    await prepare(this.#options.fleet, this.#options);
    const rule = { cron: `*/${tickSeconds} * * * * *`, catchUp: 'all', overlap: 'allow' } as const;
    await this.#options.fleet.planes[0]?.client.createSchedule({ name: 'ticks', workflow: 'ticks', ...rule });
    this.#life = this.#live();
  }

  /** Starts and retries nothing any more; what was begun is followed up, and people still answer. */
  async ebb(): Promise<void> {
    this.#isStarting = false;
    // The control plane may have been killed a moment ago.
    const patience = { maxAttempts: 100, minDelayMs: 100, maxDelayMs: 100, isRetryable: HiveError.is };
    await retry(async () => this.#options.fleet.planes[0]?.client.pauseSchedule('ticks'), patience);
  }

  /** No call is under way: no run will begin any more after the ebb. */
  get isIdle(): boolean {
    return this.#busy.size === 0;
  }

  /** Resolves when no call is under way. */
  async end(): Promise<void> {
    this.#isOver = true;
    this.#caller.giveUp();
    await this.#life;
    await Promise.all(this.#busy);
  }

  async #live(): Promise<void> {
    for (; !this.#isOver; await wait(lookIntervalMs)) {
      // The database may be down at the moment.
      await this.#look().catch(() => {});
    }
  }

  async #look(): Promise<void> {
    const { sql, runsAtOnce } = this.#options;
    for (const answer of await this.#person.answers()) this.#do(answer);
    if (!this.#isStarting) return;
    for (const retry of await this.#person.retries()) this.#do(retry);
    const [row] = await sql<{ open: number; ended: number }[]>`
      SELECT count(*) FILTER (WHERE finished_at IS NULL)::integer AS open, count(finished_at)::integer AS ended FROM runs`;
    const { open, ended } = row ?? { open: runsAtOnce, ended: 0 };
    this.#endedCount = ended;
    for (let left = Math.min(8, runsAtOnce - open); left > 0; left -= 1) this.#do(this.#start(this.#kinds.deal()));
  }

  #do(work: Promise<void>): void {
    const noted = work.finally(() => this.#busy.delete(noted));
    this.#busy.add(noted);
  }

  async #start({ name, followUp }: Kind): Promise<void> {
    const runId = await this.#caller.start(name, `${name}-${++this.#startCount}`);
    if (runId !== undefined) await this.#followUps[followUp]?.(runId);
  }

  readonly #followUps: Partial<Record<FollowUp, (runId: string) => Promise<void>>> = {
    cancel: async (runId) => {
      await this.#while(1_500);
      await this.#caller.order('cancel', runId);
    },
    // The first before the run waits for it, the second when it does or later, each twice; a third that nothing waits for.
    signal: async (runId) => {
      await this.#twice(() => this.#caller.signal(runId, `${runId}-1`));
      await this.#while(1_500);
      await this.#twice(() => this.#caller.signal(runId, `${runId}-2`));
      await this.#caller.signal(runId, `${runId}-3`);
    },
    pause: async (runId) => {
      await this.#while(500);
      if (!(await this.#caller.order('pause', runId))) return;
      await this.#watchPaused(runId).catch(() => {}); // the database is down
      await this.#caller.order('resume', runId);
    },
  };

  /** From now on nothing of the run may be leased: by the database's clock, which leases go by. */
  async #watchPaused(runId: string): Promise<void> {
    const { sql } = this.#options;
    const [since] = await sql<{ at: string }[]>`SELECT now()::text AS at`;
    await this.#while(1_500);
    const leased = await sql`SELECT FROM tickets WHERE run_id = ${runId} AND leased_at > ${since?.at ?? ''}::timestamptz`;
    const [run] = await sql<{ is_held: boolean }[]>`
      SELECT EXISTS (SELECT FROM tickets WHERE run_id = ${runId} AND is_held) AS is_held`;
    if (leased.length > 0) this.#pauses.broken.push(runId);
    if (run?.is_held === true) this.#pauses.watched += 1;
  }

  async #twice(call: () => Promise<void>): Promise<void> {
    await Promise.all([call(), call()]);
  }

  #while(mostMs: number): Promise<void> {
    return wait(this.#options.random.next() * mostMs);
  }
}
