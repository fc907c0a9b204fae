import { parseArgs } from 'node:util';

/** What one chaos run is told. */
export interface ChaosSettings {
  /** kill -9 that have to take effect. */
  readonly kills: number;
  /** The same seed draws the same faults and the same load. */
  readonly seed: number;
  /** No new fault after so long, also where kills are missing. */
  readonly mostMs: number;
  /** Without fencing: the negative control, which has to be found guilty. */
  readonly isUnfenced: boolean;
  /** Unfinished runs at a time. */
  readonly runsAtOnce: number;
  /** Before each fault. Without pauses work is killed as fast as it is begun, and little is ever done. */
  readonly mostPauseMs: number;
  /** So long the load goes on without faults: then what is overdue can be told from what is only waiting its turn. */
  readonly ebbAfterMs: number;
}

/** Lease of every ticket: short, so that many are lost; longer than a control plane needs to be back on a machine that is busy. */
export const leaseMs = 3_000;

/**
 * After so long without faults nothing may still be due: two leases, a second until the sweep, five until a driver that
 * missed a notification looks again.
 */
export const quietAfterMs = 2 * leaseMs + 6_000;

/** Reads `--kills N --seed S --minutes M --unfenced`. @throws TypeError naming the option at fault */
export function readSettings(args: readonly string[], newSeed: () => number): ChaosSettings {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: { kills: text, seed: text, minutes: text, unfenced: { type: 'boolean', default: false } },
  });
  const number = (name: 'kills' | 'seed' | 'minutes', instead: number): number => {
    const given = values[name];
    const value = given === undefined ? instead : Number(given);
    if (!(value >= 0)) throw new TypeError(`--${name} takes a number, not "${given}"`);
    return value;
  };
  return {
    kills: Math.floor(number('kills', 1_000)),
    seed: Math.floor(number('seed', newSeed())),
    mostMs: number('minutes', Number.POSITIVE_INFINITY) * 60_000,
    isUnfenced: values.unfenced,
    runsAtOnce: 60,
    mostPauseMs: 180,
    ebbAfterMs: quietAfterMs,
  };
}
