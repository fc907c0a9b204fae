import { defaultTenantId, type InstanceId, type WorkerView } from '@hivekeeper/contract';
import type { Clock, Log, Timer } from '@hivekeeper/kernel';
import type { Attention } from './attention.ts';
import type { InstanceStore } from './instance-store.ts';
import type { Instances } from './instances.ts';
import type { Presence } from './presence.ts';

/** What {@link Watchfulness} needs. */
export interface WatchfulnessOptions {
  readonly instances: Instances;
  readonly presence: Presence;
  readonly attention: Attention;
  readonly store: InstanceStore;
  /** The workers at this control plane. */
  readonly workers: () => readonly WorkerView[];
  readonly planeId: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Shorter than what {@link Attention} lets count at most. */
const tickMs = 250;
const ticksPerRound = 2;
/** A busy machine delays timers; from here on it is worth a line. */
const toldStallMs = 1_000;
const ticksPerMark = 120;

/** The round that keeps {@link Instances} true: looks who is here, hears what other control planes heard, and notices who is silent. */
export class Watchfulness implements AsyncDisposable {
  readonly #options: WatchfulnessOptions;
  readonly #stale = new Set<InstanceId>();
  readonly #timer: Timer;
  #tickCount = 0;
  #isAllStale = false;
  #underWay: Promise<void> | undefined;
  #lostMs = 0;

  constructor(options: WatchfulnessOptions) {
    this.#options = options;
    this.#timer = options.clock.every(tickMs, () => this.#tick());
  }

  /** Another control plane changed an instance; without an id, perhaps any. */
  changed(id?: InstanceId): void {
    if (id === undefined) this.#isAllStale = true;
    else this.#stale.add(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer.cancel();
    await this.#underWay;
  }

  #tick(): void {
    const { attention, log } = this.#options;
    attention.look();
    const stalledMs = attention.lostMs - this.#lostMs;
    this.#lostMs = attention.lostMs;
    if (stalledMs >= toldStallMs)
      log.warn({ stalledMs: Math.round(stalledMs) }, 'this process stood still; nobody counts as silent for that time');
    this.#tickCount += 1;
    this.#hearWorkers();
    // One at a time: what a slow database delays is done by the next tick.
    this.#underWay ??= this.#round(this.#tickCount)
      .catch((error: unknown) => log.warn({ err: error }, 'the registry could not be brought up to date; trying again'))
      .finally(() => (this.#underWay = undefined));
  }

  #hearWorkers(): void {
    const { instances, workers, clock } = this.#options;
    for (const { id, heldCount, maxParallel, lastSeenAtMs } of workers())
      instances.hear(id, { loadRatio: Math.min(1, heldCount / maxParallel) }, Math.max(0, clock.nowMs() - lastSeenAtMs));
  }

  async #round(number: number): Promise<void> {
    const { instances, presence, store, planeId } = this.#options;
    await this.#readStale();
    await this.#enrolWorkers();
    if (number % ticksPerRound === 0) {
      const silences = presence.round();
      if (silences.size > 0) await store.tellRound(planeId, silences);
      for (const round of await store.rounds(planeId)) presence.told(round);
    }
    await instances.judge(number % ticksPerMark === 0);
  }

  async #readStale(): Promise<void> {
    const { instances } = this.#options;
    if (this.#isAllStale) {
      this.#isAllStale = false;
      this.#stale.clear();
      await instances.refresh().catch((error: unknown) => {
        this.#isAllStale = true;
        throw error;
      });
    }
    const ids = [...this.#stale];
    if (ids.length === 0) return;
    // Emptied before they are read: one that changes meanwhile is read once more.
    this.#stale.clear();
    await instances.reread(ids).catch((error: unknown) => {
      for (const id of ids) this.#stale.add(id);
      throw error;
    });
  }

  async #enrolWorkers(): Promise<void> {
    const { instances, workers } = this.#options;
    for (const { id, name, capabilities, state } of workers()) {
      if (instances.isKnown(id) || state === 'silent') continue;
      const description = { name, namespace: 'default', capabilities, metadata: {}, beatIntervalMs: 1_000 };
      await instances.enrol({ id, tenantId: defaultTenantId, description });
    }
  }
}
