import { HiveError } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { readConfig } from './config.ts';

function faultOf(
  options: Parameters<typeof readConfig>[0],
  environment: Parameters<typeof readConfig>[1] = {},
): { readonly code: string; readonly paths: readonly string[]; readonly message: string } {
  try {
    readConfig(options, environment);
  } catch (error) {
    if (HiveError.is(error)) return { code: error.code, message: error.message, paths: (error.issues ?? []).map(({ path }) => path) };
    throw error;
  }
  return { code: 'none', paths: [], message: '' };
}

describe('the configuration', () => {
  it('has a default for everything that needs a value', () => {
    expect(readConfig({}, {})).toEqual({
      dataDirectory: './.hivekeeper',
      host: '127.0.0.1',
      port: 9_002,
      isOpen: false,
      workerCount: 0,
      apiPerMinute: 100,
      v1PerMinute: 60_000,
      databaseConnections: 8,
      leaseMs: 10_000,
      canaryMs: 30_000,
      liveRuns: 5_000,
      drainMs: 25_000,
      logLevel: 'info',
    });
  });

  it('takes options before variables, and variables before defaults', () => {
    const { port, host } = readConfig({ port: '1' }, { HIVE_PORT: '2', HIVE_HOST: '0.0.0.0' });
    expect({ port, host }).toEqual({ port: 1, host: '0.0.0.0' });
  });

  it.each([
    ['HIVE_PORT', '65536'],
    ['HIVE_PORT', '9002x'],
    ['HIVE_LEASE_MS', '999'],
    ['HIVE_WORKERS', '-1'],
    ['HIVE_DRAIN_MS', '600001'],
    ['HIVE_DATABASE_CONNECTIONS', '1'],
    ['HIVE_LOG_LEVEL', 'loud'],
    ['HIVE_NO_AUTH', 'maybe'],
    ['HIVE_PUBLIC_URL', 'hive.example.org'],
    ['HIVE_PUBLIC_URL', 'ftp://hive.example.org'],
    ['HIVE_PUBLIC_URL', 'https://hive.example.org/?a=b'],
  ])('refuses %s=%s', (variable, text) => {
    expect(faultOf({}, { [variable]: text })).toMatchObject({ code: 'CONFIGURATION_INVALID', paths: [`/${variable}`] });
  });

  it('takes an address that people know, also below a path', () => {
    const publicUrl = 'https://hive.example.org/team/';
    expect(readConfig({}, { HIVE_PUBLIC_URL: publicUrl }).publicUrl).toBe(publicUrl);
  });

  it('names every fault at once', () => {
    expect(faultOf({}, { HIVE_PORT: 'x', HIVE_LEASE_MS: 'y' }).paths.toSorted()).toEqual(['/HIVE_LEASE_MS', '/HIVE_PORT']);
  });

  it('says where a wrong value came from: the option, or the variable', () => {
    expect(faultOf({ port: 'abc' }).message).toMatch(/^--port: /);
    expect(faultOf({}, { HIVE_PORT: 'abc' }).message).toMatch(/^HIVE_PORT: /);
  });

  it.each(['mysql://x', 'postgres', 'http://u:secret@h/d'])('takes no database but PostgreSQL: %s', (address) => {
    const { code, message } = faultOf({}, { DATABASE_URL: address });
    expect([code, message]).toEqual(['CONFIGURATION_INVALID', expect.stringContaining('DATABASE_URL: expected an address')]);
    expect(message).not.toContain('secret');
  });

  it.each(['127.0.0.1', '::1', 'localhost'])('serves %s without keys where that is wanted', (host) => {
    expect(readConfig({ isOpen: 'true', host }, {}).isOpen).toBe(true);
  });

  it.each(['0.0.0.0', '::', '10.0.0.1', 'example.org'])('never serves %s without keys', (host) => {
    expect(faultOf({ isOpen: 'true', host })).toMatchObject({ code: 'CONFIGURATION_INVALID', paths: ['/HIVE_NO_AUTH'] });
  });

  it('does not repeat the database’s password where another variable is wrong', () => {
    expect(faultOf({}, { DATABASE_URL: 'postgres://u:secret@h/d', HIVE_PORT: 'x' }).message).not.toContain('secret');
  });

  it.each(['mqtt://', 'http://broker', 'broker:1883', 'mqtt://user:secret@broker'])(
    'takes no %s for an MQTT broker, and repeats no secret',
    (text) => {
      const fault = faultOf({}, { MQTT_URL: text });
      expect(fault).toMatchObject({ code: 'CONFIGURATION_INVALID', paths: ['/MQTT_URL'] });
      expect(fault.message).not.toContain('secret');
    },
  );

  it('has one MQTT broker, not two', () => {
    expect(readConfig({ mqttPort: '0' }, {}).mqttPort).toBe(0);
    expect(faultOf({ mqttPort: '1883' }, { MQTT_URL: 'mqtt://broker' })).toMatchObject({ paths: ['/HIVE_MQTT_PORT'] });
  });
});
