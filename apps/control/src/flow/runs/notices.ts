import type { RunId, RunNotice } from '@hivekeeper/contract';

/** A notice with its number in the run: `version.index`, growing without end. */
export interface NumberedNotice {
  readonly id: string;
  readonly notice: RunNotice;
}

/** Tells watchers of a run what was committed. */
export class NoticeBoard {
  readonly #watchers = new Map<RunId, Set<(notices: readonly NumberedNotice[]) => void>>();

  /** Calls back with each batch from now on; the returned function ends it. */
  watch(runId: RunId, callback: (notices: readonly NumberedNotice[]) => void): () => void {
    const watchers = this.#watchers.get(runId) ?? new Set();
    this.#watchers.set(runId, watchers.add(callback));
    return () => {
      watchers.delete(callback);
      // Later watchers may have a set of their own by now.
      if (watchers.size === 0 && this.#watchers.get(runId) === watchers) this.#watchers.delete(runId);
    };
  }

  /** Posts what one commit brought. */
  post(runId: RunId, version: number, notices: readonly RunNotice[]): void {
    const watchers = this.#watchers.get(runId);
    if (watchers === undefined) return;
    const numbered = numberNotices(version, notices);
    for (const callback of watchers) callback(numbered);
  }
}

/** Numbers the notices of one commit. */
export const numberNotices = (version: number, notices: readonly RunNotice[]): NumberedNotice[] =>
  notices.map((notice, index) => ({ id: `${version}.${index}`, notice }));

/** True where notice `id` comes after notice `last`. */
export function isAfter(id: string, last: string): boolean {
  const [version = 0, index = 0] = id.split('.').map(Number);
  const [lastVersion = 0, lastIndex = 0] = last.split('.').map(Number);
  return version > lastVersion || (version === lastVersion && index > lastIndex);
}
