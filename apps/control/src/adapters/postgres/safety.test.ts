import { expect, it } from 'vitest';
import { type DatabaseTraits, findUnsafeTrait } from './safety.ts';

const safe: DatabaseTraits = {
  serverVersion: 180_004,
  fsync: 'on',
  synchronousCommit: 'on',
  fullPageWrites: 'on',
  role: 'hive',
  isSuperuser: false,
  bypassesRowSecurity: false,
};

it.each<[Partial<DatabaseTraits>]>([
  [{}],
  [{ synchronousCommit: 'remote_apply' }],
  [{ synchronousCommit: 'local' }],
  [{ serverVersion: 150_000 }],
])('accepts %j', (change) => {
  expect(findUnsafeTrait({ ...safe, ...change })).toBeUndefined();
});

it.each<[Partial<DatabaseTraits>, string]>([
  [{ fsync: 'off' }, 'Set fsync = on'],
  [{ fullPageWrites: 'off' }, 'Set full_page_writes = on'],
  [{ synchronousCommit: 'off' }, 'Set synchronous_commit = on'],
  [{ isSuperuser: true }, 'ALTER ROLE hive NOSUPERUSER'],
  [{ bypassesRowSecurity: true }, 'ALTER ROLE hive NOBYPASSRLS'],
  [{ serverVersion: 149_999 }, 'use 15 or newer'],
])('refuses %j and says what to do', (change, remedy) => {
  expect(findUnsafeTrait({ ...safe, ...change })).toContain(remedy);
});
