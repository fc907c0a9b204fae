import { mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from './config.ts';

let top: string;
beforeAll(() => (top = realpathSync(mkdtempSync(join(tmpdir(), 'hive-config-')))));
afterAll(() => rmSync(top, { recursive: true, force: true }));

describe('the configuration of a worker', () => {
  it('has a default for everything but the token', () => {
    const { name, ...config } = readConfig([], {});
    expect(config).toEqual({
      url: 'http://127.0.0.1:9002',
      callbackUrl: 'http://127.0.0.1:9002',
      httpHosts: undefined,
      httpPrivate: 'false',
      token: undefined,
      tokenFd: undefined,
      parallel: availableParallelism(),
      roots: [realpathSync(process.cwd())],
      protectedDirectories: [],
      labels: [],
      logLevel: 'info',
    });
    expect(name).not.toBe('');
  });

  it('takes options before variables', () => {
    const environment = { HIVE_URL: 'http://a:1', HIVE_TOKEN: 'secret', HIVE_PARALLEL: '3', HIVE_LABELS: 'gpu, big' };
    expect(readConfig([], environment)).toMatchObject({ url: 'http://a:1', token: 'secret', parallel: 3, labels: ['gpu', 'big'] });
    expect(readConfig(['--url', 'http://b:2', '--parallel', '4', '--label', 'x', '--label', 'y'], environment)).toMatchObject({
      url: 'http://b:2',
      parallel: 4,
      labels: ['x', 'y'],
    });
  });

  it('resolves roots to where they are', () => {
    symlinkSync(top, join(top, 'link'));
    expect(readConfig(['--root', join(top, 'link'), '--root', tmpdir()], {}).roots).toEqual([top, realpathSync(tmpdir())]);
    expect(readConfig([], { HIVE_ROOTS: `${top}:${tmpdir()}` }).roots).toHaveLength(2);
  });

  it.each([
    [['--root', '/'], '--root: / would grant every path'],
    [['--root', '/no/such/place'], '--root: /no/such/place is not a directory'],
    [['--protect', '/no/such/place'], '--protect: /no/such/place is not a directory'],
    [['--url', 'nowhere'], '--url'],
    [['--url', 'ftp://x'], '--url'],
    [['--parallel', '0'], '--parallel'],
    [['--name', 'two words'], '--name'],
    [['--label', 'x'.repeat(101)], '--label'],
    [['--label', 'gpu', '--label', 'python'], '--label: "python" is no label'],
    [['--label', 'builtin'], '--label'],
    [['--label', 'agent:linter'], '--label'],
    [['--label', 'two words'], '--label'],
    [['--log-level', 'loud'], '--log-level'],
    [['--unknown'], '--unknown'],
  ])('refuses %j and names what is wrong', (args, words) => {
    expect(() => readConfig(args, {})).toThrow(
      expect.objectContaining({ code: 'CONFIGURATION_INVALID', message: expect.stringContaining(words) }),
    );
  });
});
