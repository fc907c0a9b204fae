/**
 * A PostgreSQL 18 that comes with the package, belongs to one directory and lives no longer than the process that started it.
 *
 * embedded.ts    the door: lock, prepare, start, keep alive, stop
 * supervisor.ts  one postmaster at a time; starts it again with back-off when it ends unasked
 * postmaster.ts  one postmaster: spawn, wait until ready, stop
 * orphans.ts     what an earlier process left behind in the cluster, and how it is cleared
 * cluster.ts     where the cluster lies and how it is made: all or nothing
 * settings.ts    what the server is told
 * account.ts     who the server runs as (never root) and which paths that user can reach
 * binaries.ts    where the programs are
 * lock.ts        one holder per directory
 *
 * Directory layout: `lock` and `holder.pid`, `secrets.json` (0600), `postgres.log`, and `cluster` – or `cluster-path`, which names the
 * cluster's place where the server's user cannot reach this directory.
 */
export { type EmbeddedPostgres, type EmbeddedPostgresOptions, type PostgresRole, startEmbeddedPostgres } from './embedded.ts';
export type { PostmasterExit } from './postmaster.ts';
