import { HiveError } from '@hivekeeper/contract';
import pg from 'pg';

// SQLSTATE: connection exceptions, too many connections, shutting down, crashed, starting up, idle session or transaction ended.
const unreachableStates = ['08000', '08001', '08003', '08004', '08006', '53300', '57P01', '57P02', '57P03', '57P05', '25P03'];
// SQLSTATE: read-only (a standby, or an operator's wish); out of resources, disk full, out of memory, over a limit; an I/O error.
// Nothing was stored, and the connection is given up: the next one may reach a server that can.
const unableStates = ['25006', '53000', '53100', '53200', '53400', '58030'];
const unavailableStates = new Set([...unreachableStates, ...unableStates]);
// SQLSTATE: serialization failure, deadlock, lock not available.
const conflictStates = new Set(['40001', '40P01', '55P03']);

const stateOf = (error: unknown): string => (error instanceof pg.DatabaseError ? (error.code ?? '') : '');

/**
 * What the driver threw, as the rest of the platform sees it: DATABASE_UNAVAILABLE where the server could not be
 * reached, ended the connection or cannot store anything at the moment, any other answer of the server unchanged. The driver has no codes for a connection that is
 * lost, so everything that is no answer counts as that.
 */
export function translated(error: unknown): unknown {
  if (error instanceof pg.DatabaseError && !unavailableStates.has(stateOf(error))) return error;
  if (HiveError.is(error) || error instanceof TypeError || error instanceof RangeError) return error;
  const lead = unableStates.includes(stateOf(error)) ? 'cannot store anything now' : 'does not answer';
  return new HiveError('DATABASE_UNAVAILABLE', `PostgreSQL ${lead}: ${reasonOf(error)}`, { cause: error });
}

/** An AggregateError (each address of a host refused) has no message, but a code. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return [error.message, 'code' in error ? `(${String(error.code)})` : ''].filter((part) => part !== '').join(' ');
}

const isUnavailable = (error: unknown): boolean => HiveError.is(error) && error.code === 'DATABASE_UNAVAILABLE';

/** The schema changed under a statement that the connection had prepared; the statement was not run. */
export const isPlanStale = (error: unknown): boolean => error instanceof pg.DatabaseError && error.routine === 'RevalidateCachedQuery';

/** True when the connection is of no further use. */
export const isConnectionBroken = (error: unknown): boolean => isUnavailable(error) || isPlanStale(error);

/** True when something was in the way and the transaction was rolled back: it may be repeated as it is. */
export const isConflict = (error: unknown): boolean => conflictStates.has(stateOf(error)) || isPlanStale(error);

/**
 * True when the same transaction may succeed later. What a connection lost in the middle of a commit did is not known: repeat only what may
 * happen twice, or what finds out.
 */
export const isTransient = (error: unknown): boolean => isUnavailable(error) || isConflict(error);

/** True when a row with the same unique values exists already. */
export const isUniqueViolation = (error: unknown): boolean => stateOf(error) === '23505';
