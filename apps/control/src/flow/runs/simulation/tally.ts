import { type RunEvent, runEventTypes } from '@hivekeeper/contract';

const faults = [
  'attempt failed',
  'attempt timed out',
  'attempt failed for good',
  'ticket buried',
  'ticket revoked',
  'ticket held by a pause',
  'approval rejected',
  'approval expired: fail',
  'approval expired: skip',
  'approval expired: approve',
  'approval cancelled',
  'agent waits: timer',
  'agent waits: signal',
  'agent waits: approval',
  'agent waits: effect',
  'agent waits: call',
  'call in a call',
  'call gated: approve',
  'call gated: reject',
  'call gated: expire',
  'asked: approve',
  'asked: reject',
  'asked: expire',
  'signal before the wait',
  'signal during the wait',
  'signal too late',
  'signal with another key',
  'signal never came',
  'shared signal',
  'event awaited',
  'event forgotten',
  'event before the wait',
  'slept',
  'woken late',
  'answered late',
  'queued and cancelled',
  'queued and timed out',
  'live and cancelled',
  'live and timed out',
  'paused while queued',
  'run good',
  'run failed',
  'run went on from another',
  'node carried',
  'node carried that did not succeed',
  'node skipped',
  'node mapped',
  'run undone',
  'undoing good',
  'undoing failed',
  'undoing stopped',
  'undoing gated',
  'undoing had no input',
] as const;

/** A kind of fault, or of anything else that the simulation is there to provoke. */
export type Fault = (typeof faults)[number];

type Happening = Fault | RunEvent['type'] | `no news: ${RunEvent['type']}`;

/** How often what took effect: a simulation that stopped provoking faults would prove nothing. */
export class Tally {
  scheduleCount = 0;
  /** With those that went on from others, and those that undid them. */
  playCount = 0;
  readonly #counts = new Map<Happening, number>(
    [...runEventTypes, ...runEventTypes.map((type) => `no news: ${type}` as const), ...faults].map((what) => [what, 0]),
  );

  add(what: Happening): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  get eventCount(): number {
    return runEventTypes.reduce((sum, type) => sum + (this.#counts.get(type) ?? 0), 0);
  }

  /** What took effect less often than that. */
  below(leastCount: number): string[] {
    return [...this.#counts].filter(([, count]) => count < leastCount).map(([what, count]) => `${what}: ${count}`);
  }

  /** How many things were counted, and the rarest of them. */
  summary(): string {
    const [rarest, count] = [...this.#counts].reduce((least, other) => (other[1] < least[1] ? other : least));
    return `${this.#counts.size} kinds of events and faults took effect, the rarest (${rarest}) ${count} times`;
  }
}
