/** PostgreSQL behind every port of the control plane. The only folder that knows SQL. */
export type { LostWindow } from './backup/lost-window.ts';
export { type RestoredDatabase, restoreDatabase } from './backup/restore.ts';
export { type DatabaseListener, openDatabase, type PostgresDatabase } from './database.ts';
export { postgresDriver } from './driver.ts';
