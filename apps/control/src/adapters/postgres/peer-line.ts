import { type RunId, runIdSchema } from '@hivekeeper/contract';
import type { PeerLine } from '../../flow/runs/index.ts';
import type { Pool } from './connection.ts';

/** Runs that somebody watches. */
export const watchedChannel = 'hive_watched';
/** Runs that have news. */
export const movedChannel = 'hive_moved';

/** Keys of throttles that may have room. */
export const roomyChannel = 'hive_roomy';

/** Messages between control planes as notifications, one per run and per key. */
export const postgresPeerLine = (pool: Pool): PeerLine => ({
  async say({ watched, moved, roomy }) {
    if (watched.length > 0) await pool.notify(watchedChannel, watched);
    if (moved.length > 0) await pool.notify(movedChannel, moved);
    if (roomy.length > 0) await pool.notify(roomyChannel, roomy);
  },
});

/** Passes on what names a run: whoever may connect to the database may notify. */
export const ofRun =
  (hear: (runId: RunId) => void) =>
  (payload: string): void => {
    const { data: runId } = runIdSchema.safeParse(payload);
    if (runId !== undefined) hear(runId);
  };
