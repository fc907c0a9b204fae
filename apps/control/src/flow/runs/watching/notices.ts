import type { AttemptProgress, RunEvent, RunNotice } from '@hivekeeper/contract';
import { fold } from '../core/index.ts';
import type { LiveRun } from '../live-runs.ts';

/** A notice with its number in the run: `version.index`, growing without end. */
export interface NumberedNotice {
  readonly id: string;
  readonly notice: RunNotice;
}

/** What watchers are told: numbered notices and, between them, progress, which has no number because it is not kept. */
export type RunNews = NumberedNotice | { readonly id?: undefined; readonly notice: AttemptProgress };

/** Numbers the notices of one commit. */
export const numberNotices = (version: number, notices: readonly RunNotice[]): NumberedNotice[] =>
  notices.map((notice, index) => ({ id: `${version}.${index}`, notice }));

/** Folds commits that follow a run's version; gives the run after them, and what its watchers are told. */
export function replay(
  run: LiveRun,
  commits: readonly (readonly RunEvent[])[],
): { readonly run: LiveRun; readonly notices: NumberedNotice[] } {
  const notices: NumberedNotice[] = [];
  let after = run;
  for (const events of commits) {
    const decision = fold(after.state, events, after.rules);
    after = { ...after, state: decision.state, version: after.version + 1 };
    notices.push(...numberNotices(after.version, decision.notices));
  }
  return { run: after, notices };
}

/** Lets each notice after `lastId` through once; progress always. Call it with the news in order. */
export function onlyOnceAfter(lastId: string | undefined): (news: RunNews) => boolean {
  let last = lastId ?? '0.0';
  return ({ id }) => {
    if (id === undefined) return true;
    if (!isAfter(id, last)) return false;
    last = id;
    return true;
  };
}

/** True where notice `id` comes after notice `last`. */
export function isAfter(id: string, last: string): boolean {
  const [version = 0, index = 0] = id.split('.').map(Number);
  const [lastVersion = 0, lastIndex = 0] = last.split('.').map(Number);
  return version > lastVersion || (version === lastVersion && index > lastIndex);
}
