import { expect, it } from 'vitest';
import { postmasterArguments, socketDirectoryIn } from './settings.ts';

it('a socket lies in the cluster where the kernel takes its path, and nowhere else', () => {
  const longest = `/${'d'.repeat(107 - '//.s.PGSQL.25432'.length)}`;
  expect(socketDirectoryIn(longest, 25_432)).toBe(longest);
  expect(socketDirectoryIn(`${longest}d`, 25_432)).toBeUndefined();
  expect(socketDirectoryIn(`${longest.slice(0, -1)}é`, 25_432)).toBeUndefined();
});

it('the server listens on loopback only', () => {
  const line = postmasterArguments('/cluster', { port: 25_432 });
  expect(line).toContain('listen_addresses=127.0.0.1');
  expect(line).toContain('port=25432');
  expect(line).toContain('unix_socket_directories=');
});
