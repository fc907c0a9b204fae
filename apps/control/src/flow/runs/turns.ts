import { isTerminal, type RunEvent, type RunId } from '@hivekeeper/contract';
import type { Log } from '@hivekeeper/kernel';
import { type RunState, runStatusOf } from './core/index.ts';
import type { RunLane } from './lane.ts';
import type { TurnDecision, TurnKey, TurnQueue, TurnStore, Waiter } from './turn-store.ts';

/**
 * Who goes next: the higher priority first, then the older, nobody past one that has no room. Pure.
 *
 * | a waiting run's overlap | where there is no room                                              |
 * |-------------------------|---------------------------------------------------------------------|
 * | queue                   | it waits                                                            |
 * | skip                    | it ends                                                             |
 * | replace                 | as many of the oldest holders end as it takes; and, with or without room, what waited before it |
 */
export function giveTurns({ holders, waiting }: TurnQueue): TurnDecision {
  const newest = waiting.filter(({ overlap }) => overlap === 'replace').reduce<Waiter | undefined>(younger, undefined);
  const isReplaced = ({ runId }: Waiter) => newest !== undefined && runId < newest.runId;
  const given: RunId[] = [];
  const left: Waiter[] = [];
  for (const waiter of waiting.filter((each) => !isReplaced(each)).sort(byTurn)) {
    if (left.length === 0 && holders.length + given.length < waiter.limit) given.push(waiter.runId);
    else left.push(waiter);
  }
  const isLeft = newest !== undefined && left.includes(newest);
  const excess = isLeft ? holders.slice(0, holders.length + given.length + 1 - newest.limit) : [];
  const replaced = [...excess, ...waiting.filter(isReplaced)].map(({ runId }) => ({
    runId,
    reason: `replaced by ${newest?.runId}`,
    isSkip: false,
  }));
  const skipped = left
    .filter(({ overlap }) => overlap === 'skip')
    .map(({ runId, limit }) => ({ runId, reason: skipReason(limit, holders[0]?.runId ?? given[0]), isSkip: true }));
  return { given, ended: [...replaced, ...skipped] };
}

const younger = (a: Waiter | undefined, b: Waiter): Waiter => (a === undefined || a.runId < b.runId ? b : a);
const byTurn = (a: Waiter, b: Waiter): number => b.priority - a.priority || (a.runId < b.runId ? -1 : 1);
const skipReason = (limit: number, holder: RunId | undefined): string =>
  `skipped: ${limit === 1 ? 'one run goes' : `${limit} runs go`} at a time, and ${holder ?? 'another'} has not ended`;

/** What {@link Turns} needs. */
export interface TurnsOptions {
  readonly store: TurnStore;
  readonly lane: RunLane;
  readonly log: Log;
}

/**
 * Lets runs that were started beyond their workflow's limit begin when it is their turn. A turn is given in the database,
 * before the run hears of it, so nothing here has to be done by one control plane alone, and what a crash leaves between
 * the two is done again by whoever looks next.
 */
export class Turns implements AsyncDisposable {
  readonly #options: TurnsOptions;
  /** Keys that somebody asked to look at since the look under way began. */
  readonly #asked = new Set<string>();
  readonly #looking = new Map<string, Promise<void>>();

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Something changed at a key: a run waits, ended, or may go on. Returns at once. */
  look(key: TurnKey): void {
    const name = `${key.tenantId} ${key.key}`;
    this.#asked.add(name);
    if (!this.#looking.has(name)) this.#looking.set(name, this.#serve(key, name));
  }

  /** Looks at every key where something may be left: by a control plane that was killed, or by one without its database. Never rejects. */
  async sweep(): Promise<void> {
    try {
      for (const key of await this.#options.store.unsettled()) this.look(key);
    } catch (error) {
      this.#options.log.warn({ err: error }, 'waiting turns could not be read; trying again');
    }
  }

  /** Resolves when the looks under way are done. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#looking.values());
  }

  async #serve(key: TurnKey, name: string): Promise<void> {
    try {
      while (this.#asked.delete(name)) {
        // More may wait than were shown.
        if (await this.#settle(key)) this.#asked.add(name);
      }
    } catch (error) {
      this.#asked.delete(name);
      this.#options.log.warn({ err: error, key: key.key }, 'turns could not be given; trying again');
    } finally {
      this.#looking.delete(name);
    }
  }

  async #settle(key: TurnKey): Promise<boolean> {
    const { holders, given, ended } = await this.#options.store.settle(key, giveTurns);
    const unbegun = holders.filter(({ isBegun }) => !isBegun).map(({ runId }) => runId);
    await Promise.all([
      ...[...unbegun, ...given].map((runId) => this.#tell(runId, admitted)),
      ...ended.map(({ runId, reason, isSkip }) => this.#tell(runId, cancelled(reason, isSkip))),
    ]);
    return given.length > 0;
  }

  #tell(runId: RunId, judge: Judge): Promise<void> {
    return this.#options.lane.submit({ runId, actor: 'platform', judge });
  }
}

type Judge = (state: RunState, atMs: number) => RunEvent | undefined;

const admitted: Judge = ({ phase }, atMs) => (phase.kind === 'queued' ? { type: 'run.admitted', atMs } : undefined);
const cancelled =
  (reason: string, isSkip: boolean): Judge =>
  (state, atMs) =>
    isTerminal(runStatusOf(state)) || (isSkip && state.phase.kind !== 'queued')
      ? undefined
      : { type: 'run.cancelled', atMs, by: 'platform', reason };
