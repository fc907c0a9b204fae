import { decodeTime, monotonicFactory } from 'ulid';
import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

/** Makes ids `prefix_<ULID>`: sortable by time of creation, also within one millisecond of one process. */
export type NewId = (prefix: string) => string;

/** Ids from the given clock and randomness. */
export function idMaker(clock: Clock, random: Random): NewId {
  const ulid = monotonicFactory(() => random.next());
  return (prefix) => `${prefix}_${ulid(clock.nowMs())}`;
}

/** When the id was made, in milliseconds since 1970, by the clock of whoever made it. */
export const timeOfId = (id: string): number => decodeTime(id.slice(id.indexOf('_') + 1, id.indexOf('_') + 27));
