import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from '@hivekeeper/client';
import type { Random } from '@hivekeeper/kernel';
import { resolve } from 'node:path';
import type postgres from 'postgres';
import type { Fleet } from './fleet.ts';
import { Caller } from './caller.ts';
import type { Journal } from './journal.ts';
import { type Kind, kinds } from './kinds.ts';

const scribe = resolve(import.meta.dirname, '../fixtures/scribe');
const lookIntervalMs = 150;
const retriesPerRun = 3;

/** What a load needs. */
export interface LoadOptions {
  readonly fleet: Fleet;
  readonly journal: Journal;
  readonly random: Random;
  /** Past the product: only to keep so many runs going, and to see what may be decided or retried. */
  readonly sql: postgres.Sql;
  readonly runsAtOnce: number;
}

/** Registers the agent and deploys the workflows of the load. */
export async function prepare({ planes, executions }: Fleet): Promise<void> {
  const client = planes[0]?.client as Client;
  await client.registerAgent({ entryPath: scribe });
  for (const { name, nodes } of kinds) await client.deployWorkflow({ name, nodes: nodes(executions) });
}

/** Clients that start runs, decide, cancel and retry. */
export class Load {
  readonly #options: LoadOptions;
  readonly #decided = new Set<string>();
  readonly #retries = new Map<string, number>();
  readonly #busy = new Set<Promise<void>>();
  readonly #caller: Caller;
  #startCount = 0;
  #isStarting = true;
  #isOver = false;
  #life: Promise<void> | undefined;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#caller = new Caller(options);
  }

  /** See {@link Caller.internalErrors}. */
  get internalErrors(): readonly string[] {
    return this.#caller.internalErrors;
  }

  /** Deploys the workflows, and begins. */
  async begin(): Promise<void> {
    await prepare(this.#options.fleet);
    this.#life = this.#live();
  }

  /** Starts and retries nothing any more; what waits for people is still decided. */
  ebb(): void {
    this.#isStarting = false;
  }

  /** Resolves when no call is under way. */
  async end(): Promise<void> {
    this.#isOver = true;
    this.#caller.giveUp();
    await this.#life;
    await Promise.all(this.#busy);
  }

  async #live(): Promise<void> {
    for (; !this.#isOver; await pause(lookIntervalMs)) {
      // The database may be down at the moment.
      await this.#look().catch(() => {});
    }
  }

  async #look(): Promise<void> {
    const { sql, runsAtOnce } = this.#options;
    const asked = await sql<{ id: string }[]>`SELECT id FROM approvals WHERE status = 'PENDING' LIMIT 50`;
    for (const { id } of asked) if (!this.#decided.has(id)) this.#do(this.#decide(id));
    if (!this.#isStarting) return;
    const [row] = await sql<{ count: number }[]>`SELECT count(*)::integer AS count FROM runs WHERE finished_at IS NULL`;
    const failed = await sql<{ id: string }[]>`
      SELECT r.id FROM runs r JOIN workflows w ON w.id = r.workflow_id
      WHERE r.status = 'FAILED' AND w.name = ANY (${kinds.filter(({ followUp }) => followUp === 'retry').map(({ name }) => name)})
        AND NOT EXISTS (SELECT FROM runs again WHERE again.origin_run_id = r.id) LIMIT 20`;
    for (const { id } of failed) this.#do(this.#retry(id));
    for (let left = Math.min(8, runsAtOnce - (row?.count ?? runsAtOnce)); left > 0; left -= 1) this.#do(this.#start(this.#drawKind()));
  }

  #do(work: Promise<void>): void {
    const noted = work.finally(() => this.#busy.delete(noted));
    this.#busy.add(noted);
  }

  async #start(kind: Kind): Promise<void> {
    const runId = await this.#caller.start(kind.name, `${kind.name}-${++this.#startCount}`);
    if (runId === undefined || kind.followUp !== 'cancel') return;
    await pause(this.#options.random.next() * 1_500);
    await this.#caller.cancel(runId);
  }

  async #decide(approvalId: string): Promise<void> {
    this.#decided.add(approvalId);
    await this.#caller.decide(approvalId, this.#options.random.next() < 0.75);
  }

  async #retry(runId: string): Promise<void> {
    const count = this.#retries.get(runId) ?? 0;
    if (count >= retriesPerRun) return;
    this.#retries.set(runId, count + 1);
    await this.#caller.retry(runId);
  }

  #drawKind(): Kind {
    const whole = kinds.reduce((sum, { share }) => sum + share, 0);
    let roll = this.#options.random.next() * whole;
    return kinds.find(({ share }) => (roll -= share) < 0) ?? (kinds[0] as Kind);
  }
}
