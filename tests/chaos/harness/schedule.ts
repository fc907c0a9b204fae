import type { Random } from '@hivekeeper/kernel';
import type { FaultMode } from '@hivekeeper/testkit';
import { Deck } from './deck.ts';
import type { ChaosSettings } from './settings.ts';

/** Whose process it is. */
export type Target = 'agent' | 'worker' | 'control' | 'postgres';

/** A connection that a fault proxy carries. */
export type Link = 'database' | 'worker';

/** One fault. `index` chooses among the targets of a kind, by its remainder. */
export type Fault = { readonly index: number; readonly pauseMs: number } & (
  | { readonly kind: 'kill'; readonly target: Target }
  | { readonly kind: 'stop'; readonly target: Exclude<Target, 'agent'>; readonly durationMs: number }
  | { readonly kind: 'net'; readonly link: Link; readonly mode: FaultMode; readonly durationMs: number }
);

// Of every 100 kills in a row, in an order that is drawn. Agents are many and start at once; a database needs a second to recover.
const killShares: ReadonlyMap<Target, number> = new Map([
  ['agent', 83],
  ['worker', 11],
  ['control', 3],
  ['postgres', 3],
]);
// Beside each kill. They last for seconds: with more of them there would always be some, and nothing would go on.
const [stopRatio, netRatio] = [0.04, 0.08];

/** Draws faults with so many kills among them: the same for the same random numbers. Before each is a pause, at most so long. */
export function drawSchedule(random: Random, { kills, mostPauseMs }: Pick<ChaosSettings, 'kills' | 'mostPauseMs'>): readonly Fault[] {
  const draw = drawer(random, mostPauseMs);
  const faults: Fault[] = [];
  const targets = new Deck(random, killShares);
  for (let count = 0; count < kills; count += 1) {
    faults.push(draw.kill(targets.deal()));
    if (random.next() < stopRatio) faults.push(draw.stop());
    if (random.next() < netRatio) faults.push(draw.net());
  }
  return faults;
}

/** A fault in one line. */
export function faultText(fault: Fault): string {
  if (fault.kind === 'net') return `net:${fault.link}:${fault.mode.kind}`;
  return `${fault.kind}:${fault.target}`;
}

function drawer(random: Random, mostPauseMs: number) {
  const between = (least: number, most: number) => Math.floor(least + random.next() * (most - least + 1));
  const common = () => ({ index: between(0, 999), pauseMs: between(0, mostPauseMs) });
  return {
    kill: (target: Target): Fault => ({ kind: 'kill', target, ...common() }),
    stop: (): Fault => {
      const roll = between(0, 9);
      // A worker is stopped for longer than its lease: it comes back as a zombie.
      if (roll < 7) return { kind: 'stop', target: 'worker', durationMs: between(4_500, 6_500), ...common() };
      if (roll < 9) return { kind: 'stop', target: 'control', durationMs: between(500, 4_000), ...common() };
      return { kind: 'stop', target: 'postgres', durationMs: between(300, 1_200), ...common() };
    },
    net: (): Fault => {
      const link = between(0, 1) === 0 ? 'database' : 'worker';
      return { kind: 'net', link, mode: drawMode(between), durationMs: between(300, 2_500), ...common() };
    },
  };
}

function drawMode(between: (least: number, most: number) => number): FaultMode {
  const modes: readonly FaultMode[] = [
    { kind: 'reset' },
    { kind: 'blackHole' },
    { kind: 'latency', delayMs: between(20, 400) },
    { kind: 'resetAfterBytes', bytes: between(1, 6_000) },
  ];
  return modes[between(0, modes.length - 1)] ?? { kind: 'reset' };
}
