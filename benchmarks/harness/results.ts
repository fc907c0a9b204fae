import type { CeilingRound } from '../rows/ceiling.ts';
import type { SandboxRound } from '../rows/sandbox-start.ts';
import type { SchedulingRound } from '../rows/scheduling.ts';
import type { StackRound } from '../rows/stack.ts';
import type { Machine } from './machine.ts';
import type { EngineRound } from './measure-engine.ts';
import { median } from './statistics.ts';

/** What came of one program over all rounds. */
export interface Row<T> {
  /** Every number the median over the rounds; absent where no round succeeded. */
  readonly median?: T;
  readonly rounds: readonly T[];
  /** Why a round has no figures. */
  readonly failures: readonly string[];
}

/** A whole run of the benchmarks. */
export interface Results {
  readonly startedAt: string;
  readonly durationSeconds: number;
  readonly roundCount: number;
  readonly isQuick: boolean;
  readonly machine: Machine;
  /** What others took of the CPU before each measurement, 0–1. */
  readonly othersCpuShare: { readonly median: number; readonly most: number };
  readonly ceiling?: Row<CeilingRound>;
  readonly engines: Readonly<Record<string, Row<EngineRound>>>;
  readonly scheduling?: Row<SchedulingRound>;
  readonly sandbox?: Row<SandboxRound>;
  readonly stack?: Row<StackRound>;
}

/** Every number of the rounds replaced by its median; everything else as the last round has it. */
export function medianOf<T>(rounds: readonly T[]): T | undefined {
  const last = rounds.at(-1);
  if (typeof last === 'number') return median(rounds as readonly number[]) as T;
  if (typeof last !== 'object' || last === null || Array.isArray(last)) return last;
  const entries = Object.keys(last).map((key) => [key, medianOf(rounds.map((round) => (round as Record<string, unknown>)[key]))]);
  return Object.fromEntries(entries) as T;
}
