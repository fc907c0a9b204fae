import { setTimeout as pause } from 'node:timers/promises';
import postgres from 'postgres';
import { imbalances, stuckRuns } from '../invariants.ts';
import { leaseMs, quietAfterMs } from './settings.ts';

/** What somebody who looks from outside saw. */
export interface Sightings {
  /** How often it could look. */
  readonly looks: number;
  readonly quietLooks: number;
  readonly orphans: readonly string[];
  readonly overdue: readonly string[];
  readonly unbalanced: readonly string[];
}

const lookIntervalMs = 1_000;
// While there are faults everything may be late.
const neverMs = 86_400_000;

/** Looks at the database every second, past the product. */
export class Watch {
  readonly #sql: postgres.Sql;
  readonly #orphans = new Set<string>();
  readonly #overdue = new Set<string>();
  readonly #unbalanced = new Set<string>();
  #looks = 0;
  #quietLooks = 0;
  #quietSinceMs = Number.POSITIVE_INFINITY;
  #isOver = false;
  readonly #life: Promise<void>;

  constructor(url: string) {
    this.#sql = postgres(url, { max: 1, connect_timeout: 2, onnotice: () => {} });
    this.#life = this.#live();
  }

  /** From now on there are no faults. */
  quiet(): void {
    this.#quietSinceMs = performance.now();
  }

  async end(): Promise<Sightings> {
    this.#isOver = true;
    await this.#life;
    await this.#sql.end({ timeout: 1 });
    return {
      looks: this.#looks,
      quietLooks: this.#quietLooks,
      orphans: [...this.#orphans],
      overdue: [...this.#overdue],
      unbalanced: [...this.#unbalanced],
    };
  }

  async #live(): Promise<void> {
    for (; !this.#isOver; await pause(lookIntervalMs)) await this.#look().catch(() => {}); // the database is down
  }

  async #look(): Promise<void> {
    // What moves a run is committed with what it waits for: one with nothing that will move it is stuck for ever, faults or not.
    const orphans = await this.#sql<{ id: string }[]>`
      SELECT r.id FROM runs r WHERE r.finished_at IS NULL AND r.wake_at IS NULL
        AND NOT EXISTS (SELECT FROM tickets t WHERE t.run_id = r.id)
        AND NOT EXISTS (SELECT FROM approvals a WHERE a.run_id = r.id AND a.status = 'PENDING')
        AND NOT EXISTS (SELECT FROM effects e WHERE e.run_id = r.id AND e.awaited_by IS NOT NULL)`;
    for (const { id } of orphans) this.#orphans.add(id);
    // What the doctor asks: it knows more reasons to wait, and what was let pass.
    for (const stuck of await stuckRuns(this.#sql, neverMs)) this.#orphans.add(stuck);
    for (const unbalanced of await imbalances(this.#sql)) this.#unbalanced.add(unbalanced);
    this.#looks += 1;
    if (performance.now() < this.#quietSinceMs + quietAfterMs) return;
    const overdue = await this.#sql<{ id: string }[]>`
      SELECT id FROM tickets WHERE lease_until < now() - ${2 * leaseMs} * interval '1 millisecond'
      UNION ALL SELECT id FROM runs WHERE wake_at < now() - ${quietAfterMs} * interval '1 millisecond'`;
    for (const { id } of overdue) this.#overdue.add(id);
    for (const stuck of await stuckRuns(this.#sql, quietAfterMs)) this.#overdue.add(stuck);
    this.#quietLooks += 1;
  }
}
