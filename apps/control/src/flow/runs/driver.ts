import type { RunId } from '@hivekeeper/contract';

/** What wakes runs when their time has come. Kept this thin so that another engine can stand behind it. */
export interface Driver extends AsyncDisposable {
  /** Wakes a run now. */
  wake(runId: RunId): void;
  /** Wakes a run at `atMs`, also after a restart: the time itself is stored with the run. An earlier time stays in force. */
  wakeAt(runId: RunId, atMs: number): void;
}
