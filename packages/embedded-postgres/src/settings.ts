import { join } from 'node:path';

/** Where a server listens: always on loopback, and on a socket in `socketDirectory` where its path is short enough. */
export interface Listening {
  readonly port: number;
  readonly socketDirectory?: string | undefined;
}

/** What the kernel allows for the path of a Unix socket, without its closing NUL. */
const maxSocketPathBytes = 107;

/** The directory itself when a socket for `port` fits there. */
export const socketDirectoryIn = (directory: string, port: number): string | undefined =>
  Buffer.byteLength(join(directory, `.s.PGSQL.${port}`)) <= maxSocketPathBytes ? directory : undefined;

// Told on the command line at every start, so that a new version of this file reaches old clusters. Durability is not negotiable here.
const fixedSettings = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  wal_level: 'replica',
  wal_compression: 'on',
  max_wal_size: '512MB',
  max_connections: '60',
  max_wal_senders: '2',
  max_replication_slots: '2',
  // One small machine beside the agents: no helper processes that idle queries do not need.
  shared_buffers: '64MB',
  io_method: 'sync',
  max_logical_replication_workers: '0',
  max_parallel_workers_per_gather: '0',
  jit: 'off',
  // Tickets and leases are short-lived rows.
  autovacuum: 'on',
  autovacuum_naptime: '15s',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_destination: 'stderr',
  logging_collector: 'off',
  log_checkpoints: 'off',
  log_line_prefix: '%m [%p] %q%u@%d ',
} as const;

/** The command line of a postmaster. */
export function postmasterArguments(cluster: string, { port, socketDirectory }: Listening): string[] {
  const settings = { ...fixedSettings, listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: socketDirectory ?? '' };
  return ['-D', cluster, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

/** Everybody shows a password; the socket lies in a directory that only the server's user can enter. */
export const hostBasedAuthentication = ['local all all scram-sha-256', 'host all all 127.0.0.1/32 scram-sha-256', ''].join('\n');
