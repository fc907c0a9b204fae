import { monotonicFactory } from 'ulid';
import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

/** Makes ids `prefix_<ULID>`: sortable by time of creation, also within one millisecond of one process. */
export type NewId = (prefix: string) => string;

/** Ids from the given clock and randomness. */
export function idMaker(clock: Clock, random: Random): NewId {
  const ulid = monotonicFactory(() => random.next());
  return (prefix) => `${prefix}_${ulid(clock.nowMs())}`;
}
