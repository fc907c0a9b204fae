import { HiveError } from '@hivekeeper/contract';

// The driver's own codes and the system's, where no answer came.
const connectionCodes = new Set([
  'CONNECTION_CLOSED', 'CONNECTION_ENDED', 'CONNECTION_DESTROYED', 'CONNECT_TIMEOUT',
  'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOENT', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'ERR_STREAM_DESTROYED',
]);
// SQLSTATE: connection exceptions, too many connections, shutting down, crashed, starting up, idle session ended.
const unavailableStates = new Set(['08000', '08001', '08003', '08004', '08006', '53300', '57P01', '57P02', '57P03', '57P05', '25P03']);
// SQLSTATE: serialization failure, deadlock, lock not available: the transaction was rolled back and may be repeated.
const repeatableStates = new Set(['40001', '40P01', '55P03']);

const codeOf = (error: unknown): string => (typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '');

/** DATABASE_UNAVAILABLE where the server could not be reached or ended the connection; undefined for every other error. */
export function unavailableFrom(error: unknown): HiveError | undefined {
  if (HiveError.is(error)) return error.code === 'DATABASE_UNAVAILABLE' ? error : undefined;
  const code = codeOf(error);
  if (!connectionCodes.has(code) && !unavailableStates.has(code)) return undefined;
  return new HiveError('DATABASE_UNAVAILABLE', `PostgreSQL does not answer (${code}).`, { cause: error });
}

/**
 * True when the same transaction may succeed later. What a connection lost in the middle of a commit did is not known: repeat only what may
 * happen twice, or what finds out.
 */
export const isTransient = (error: unknown): boolean => unavailableFrom(error) !== undefined || repeatableStates.has(codeOf(error));

/** True when a row with the same unique values exists already. */
export const isUniqueViolation = (error: unknown): boolean => codeOf(error) === '23505';
