import { HiveError } from '@hivekeeper/contract';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { isConflict, isConnectionBroken, isTransient, isUniqueViolation, translated } from './connection-errors.ts';

function answer(code: string, routine = ''): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('said the server', 1, 'error'), { code, routine });
}
const systemError = (code: string) => Object.assign(new AggregateError([], ''), { code });

describe('what the driver throws', () => {
  it.each([
    ['a refused connection', systemError('ECONNREFUSED'), 'ECONNREFUSED'],
    ['a lost connection, which has no code', new Error('Connection terminated unexpectedly'), 'terminated unexpectedly'],
    ['too many clients', answer('53300'), '53300'],
    ['a server that starts up', answer('57P03'), '57P03'],
    ['a server that shuts down', answer('57P01'), '57P01'],
    ['a server that only reads', answer('25006'), '25006'],
    ['a server whose disk is full', answer('53100'), '53100'],
  ])('is DATABASE_UNAVAILABLE for %s', (_, error, detail) => {
    const told = translated(error);
    expect(told).toMatchObject({ code: 'DATABASE_UNAVAILABLE', message: expect.stringContaining(detail), cause: error });
    expect(isTransient(told)).toBe(true);
    expect(isConnectionBroken(told)).toBe(true);
  });

  it.each([
    ['an answer about the statement', answer('23505')],
    ['an error of ours', new HiveError('INTERNAL')],
    ['a mistake in the code', new TypeError('x is not a function')],
  ])('stays as it is for %s', (_, error) => {
    expect(translated(error)).toBe(error);
    expect(isTransient(error)).toBe(false);
    expect(isConnectionBroken(error)).toBe(false);
  });

  it.each(['40001', '40P01', '55P03'])('may be repeated on the same connection for SQLSTATE %s', (code) => {
    expect([isConflict(answer(code)), isTransient(answer(code)), isConnectionBroken(answer(code))]).toEqual([true, true, false]);
  });

  it('may be repeated on another connection when a prepared plan no longer fits the schema', () => {
    const stale = answer('0A000', 'RevalidateCachedQuery');
    expect([isConflict(stale), isConnectionBroken(stale)]).toEqual([true, true]);
    expect(isConflict(answer('0A000'))).toBe(false);
  });

  it('tells a second row with the same unique values from other answers', () => {
    expect([isUniqueViolation(answer('23505')), isUniqueViolation(answer('23503')), isUniqueViolation({ code: '23505' })]).toEqual([
      true,
      false,
      false,
    ]);
  });
});
