import type { Health, InstanceId } from '@hivekeeper/contract';
import type { Attention } from './attention.ts';
import { healthOf, worseOf } from './health.ts';
import type { Round } from './instance-store.ts';

interface Seen {
  /** The last beat, by our attention. */
  readonly beatAtMs: number;
  /** Who heard it. `us`; `nobody` where it is only assumed to live; else another control plane. */
  readonly heardBy: string;
  /** The worst that was seen since. */
  worst: Health;
}

/** How long another control plane may tell nothing before whom it heard counts as silent. */
const peerGraceMs = 10_000;
const us = 'us';
const nobody = 'nobody';
const unheardMs = Number.POSITIVE_INFINITY;

/**
 * When each instance was heard last, and by whom. Silence is measured by whoever heard the last beat, in its own attention: an
 * instance that beats at a control plane that stands still is not judged by the others before that one was away for
 * {@link peerGraceMs}.
 */
export class Presence {
  readonly #attention: Attention;
  readonly #seen = new Map<InstanceId, Seen>();
  /** When each other control plane told its last round, by our attention. */
  readonly #peers = new Map<string, { toldAtMs: number }>();

  constructor(attention: Attention) {
    this.#attention = attention;
  }

  /** It lives: a beat came here, `agoMs` ago. */
  heard(id: InstanceId, agoMs = 0): void {
    const beatAtMs = this.#attention.nowMs() - agoMs;
    const before = this.#seen.get(id);
    // Attention moves in steps: a beat may come within that of the one before, or of the assumption that it lives.
    if (before === undefined || before.beatAtMs < beatAtMs || (agoMs === 0 && before.beatAtMs === beatAtMs))
      this.#seen.set(id, { beatAtMs, heardBy: us, worst: 'healthy' });
  }

  /** It is known from the database only: the benefit of the doubt, but never better than it was. */
  assume(id: InstanceId, worst: Health): void {
    if (!this.#seen.has(id)) this.#seen.set(id, { beatAtMs: this.#attention.nowMs(), heardBy: nobody, worst });
  }

  forget(id: InstanceId): void {
    this.#seen.delete(id);
  }

  /** Another control plane told whom it heard. */
  told({ planeId, ageMs, silences }: Round): void {
    const nowMs = this.#attention.nowMs();
    // Told long ago, perhaps before we began: its beats count, its silence proves nothing.
    if (ageMs > peerGraceMs) return;
    this.#peers.set(planeId, { toldAtMs: nowMs - ageMs });
    for (const [id, silentMs] of silences) {
      const beatAtMs = nowMs - ageMs - silentMs;
      const before = this.#seen.get(id);
      if (before === undefined) continue;
      const isNews = before.beatAtMs < beatAtMs;
      if (isNews || before.heardBy === nobody) this.#seen.set(id, { beatAtMs, heardBy: planeId, worst: isNews ? 'healthy' : before.worst });
    }
  }

  /** Whether nobody has heard it since we began. */
  isAssumed(id: InstanceId): boolean {
    return this.#seen.get(id)?.heardBy === nobody;
  }

  /** How long it was silent, as far as that is known. */
  silentMs(id: InstanceId): number {
    const seen = this.#seen.get(id);
    return seen === undefined ? unheardMs : Math.max(0, this.#horizonMs(seen.heardBy) - seen.beatAtMs);
  }

  /** Its health now, which is never better than it was since the last beat. */
  health(id: InstanceId, beatIntervalMs: number): Health {
    const seen = this.#seen.get(id);
    if (seen === undefined) return 'gone';
    seen.worst = worseOf(seen.worst, healthOf(this.silentMs(id), beatIntervalMs));
    return seen.worst;
  }

  /** Whether it is ours to judge: we heard it last, or whoever did is away. */
  isOurs(id: InstanceId): boolean {
    const { heardBy = nobody } = this.#seen.get(id) ?? {};
    return !isPeer(heardBy) || this.#overdueMs(heardBy) > 0;
  }

  /** Everybody whom we heard last, and how long ago; without those that are gone. */
  round(): ReadonlyMap<InstanceId, number> {
    const nowMs = this.#attention.nowMs();
    const ours = [...this.#seen].filter(([, { heardBy, worst }]) => heardBy === us && worst !== 'gone');
    return new Map(ours.map(([id, { beatAtMs }]) => [id, Math.max(0, Math.round(nowMs - beatAtMs))]));
  }

  /** Up to when whoever heard it could have heard it again. */
  #horizonMs(heardBy: string): number {
    if (!isPeer(heardBy)) return this.#attention.nowMs();
    return (this.#peers.get(heardBy)?.toldAtMs ?? 0) + this.#overdueMs(heardBy);
  }

  #overdueMs(planeId: string): number {
    const toldAtMs = this.#peers.get(planeId)?.toldAtMs ?? 0;
    return Math.max(0, this.#attention.nowMs() - toldAtMs - peerGraceMs);
  }
}

const isPeer = (heardBy: string): boolean => heardBy !== us && heardBy !== nobody;
