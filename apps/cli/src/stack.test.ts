import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { controlCommand, protectedBy, workerCommand } from './commands/apps.ts';
import { tokenFor } from './session.ts';
import { faultIn } from './stack.ts';

describe('the command of another app', () => {
  it('carries options as arguments and names a program that is there', () => {
    const { file, args } = controlCommand({ data: '/d', port: '0', host: '::1', auth: false, json: true, root: ['/a', '/b'] }, 1, {
      environment: {},
    });
    expect([file, existsSync(args[0] ?? ''), args.slice(1)]).toEqual([
      process.execPath,
      true,
      ['--data', '/d', '--port', '0', '--host', '::1', '--workers', '1', '--root', '/a', '--root', '/b', '--no-auth', '--json'],
    ]);
  });

  it('leaves to the app what was not said, and to the environment how many workers', () => {
    expect(controlCommand({ auth: true }, 0, { environment: {} }).args.slice(1)).toEqual(['--workers', '0']);
    expect(controlCommand({ auth: true }, 1, { environment: { HIVE_WORKERS: '3' } }).args.slice(1)).toEqual([]);
  });

  it('names a port for the MQTT broker, be it the one that is usual', () => {
    const mqttOf = (mqtt: string | true) => controlCommand({ auth: true, mqtt, workers: '1' }, 1, { environment: {} }).args.slice(-2);
    expect([mqttOf('7'), mqttOf(true)]).toEqual([
      ['--mqtt', '7'],
      ['--mqtt', '1883'],
    ]);
  });

  it('keeps a worker’s key out of its arguments, which others can read', () => {
    const { args, environment } = workerCommand(
      { url: 'http://a', token: 'secret', parallel: '2', label: ['gpu', 'eu'] },
      { environment: { PATH: '/bin' } },
    );
    expect(args.slice(1)).toEqual(['--url', 'http://a', '--parallel', '2', '--label', 'gpu', '--label', 'eu']);
    expect(environment).toMatchObject({ PATH: '/bin', HIVE_TOKEN: 'secret' });
  });
});

describe('what a worker of this machine keeps from agents', () => {
  it('is what it was told, and the data directory where there is one', () => {
    const here = import.meta.dirname;
    expect(protectedBy(['/a'], here, { environment: { HIVE_PROTECTED: '/b' } })).toEqual(['/a', here]);
    expect(protectedBy(undefined, '/no/such/place', { environment: { HIVE_PROTECTED: '/b:/c' } })).toEqual(['/b', '/c']);
  });
});

describe('a control plane that did not start', () => {
  it('says why by the last coded line of its log', () => {
    const log = '{"level":"info","msg":"x"}\nPORT_IN_USE: port 9002: taken\nUse another --port, or stop the other process.\n';
    expect(faultIn(log)).toMatchObject({ code: 'PORT_IN_USE', message: 'port 9002: taken' });
  });

  it('without such a line shows the log’s end', () => {
    expect(faultIn('TypeError: boom\n    at x')).toMatchObject({ code: 'INTERNAL', message: expect.stringContaining('TypeError: boom') });
  });
});

describe('the key of this machine', () => {
  it.each([
    ['http://127.0.0.1:9002', true],
    ['http://localhost:9002', true],
    ['http://[::1]:9002', true],
    ['https://hive.example.com', false],
    ['http://127.0.0.1.example.com', false],
    ['nonsense', false],
  ])('for %s is looked for: %s', (url, isRead) => {
    const dataDirectory = join(import.meta.dirname, 'fixtures/data');
    expect(tokenFor({ url, token: undefined, tokenFile: undefined, dataDirectory })).toBe(isRead ? 'key-of-this-machine' : undefined);
  });
});
