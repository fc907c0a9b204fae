import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '@hivekeeper/kernel';
import type postgres from 'postgres';
import type { Caller } from './caller.ts';
import { kindOf, kinds } from './kinds.ts';
import { readPayments } from './payments.ts';

const retried = kinds.filter(({ followUp }) => followUp === 'retry' || followUp === 'retryFailed');
const approvedRatio = 0.75;
// Whoever looks at the bank takes a moment: what an attempt that is dead by now had sent has arrived.
const walkToTheBankMs = 500;

/** What a person needs. */
export interface PersonOptions {
  /** Past the product: to see what is asked. */
  readonly sql: postgres.Sql;
  readonly caller: Caller;
  readonly random: Random;
  /** Where payments are written down. */
  readonly executions: string;
}

/** Who answers what runs ask of people, and tries again what failed. */
export class Person {
  readonly #options: PersonOptions;
  readonly #seen = new Set<string>();

  constructor(options: PersonOptions) {
    this.#options = options;
  }

  /** What runs ask now and did not ask before: the answers, each under way. */
  async answers(): Promise<readonly Promise<void>[]> {
    const { sql, caller, random } = this.#options;
    const asked = await sql<{ id: string }[]>`SELECT id FROM approvals WHERE status = 'PENDING' LIMIT 50`;
    // One that was doubted, found and made again may be doubted again.
    const unknown = await sql<{ id: string; key: string; version: number }[]>`
      SELECT id, args->>'key' AS key, version FROM effects WHERE state = 'unknown' AND awaited_by IS NOT NULL LIMIT 50`;
    return [
      ...this.#new(asked, ({ id }) => id).map(({ id }) => caller.decide(id, random.next() < approvedRatio)),
      ...this.#new(unknown, ({ id, version }) => `${id} ${version}`).map(({ id, key }) => this.#lookAtTheBank(id, key)),
    ];
  }

  /** Retries of runs that failed and were not retried yet. */
  async retries(): Promise<readonly Promise<void>[]> {
    const { sql, caller } = this.#options;
    const failed = await sql<{ id: string; name: string }[]>`
      SELECT r.id, w.name FROM runs r JOIN workflows w ON w.id = r.workflow_id
      WHERE r.status = 'FAILED' AND w.name = ANY (${retried.map(({ name }) => name)})
        AND NOT EXISTS (SELECT FROM runs again WHERE again.origin_run_id = r.id) LIMIT 50`;
    return this.#new(failed, ({ id }) => id).map(({ id, name }) =>
      caller.retry(id, kindOf(name)?.followUp === 'retryFailed' ? 'failed' : 'start'),
    );
  }

  async #lookAtTheBank(effectId: string, key: string): Promise<void> {
    const { caller, executions } = this.#options;
    await pause(walkToTheBankMs);
    await caller.resolve(effectId, (await readPayments(executions)).includes(key));
  }

  #new<Item>(items: readonly Item[], nameOf: (item: Item) => string): readonly Item[] {
    const fresh = items.filter((item) => !this.#seen.has(nameOf(item)));
    for (const item of fresh) this.#seen.add(nameOf(item));
    return fresh;
  }
}
