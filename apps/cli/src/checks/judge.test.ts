import { describe, expect, it } from 'vitest';
import type { HealthReport } from '@hivekeeper/contract';
import { type MachineFacts, judge } from './judge.ts';

const report: HealthReport = { ready: true, canaries: [], stuckRuns: [], acceptedRuns: 7, imbalance: 0 };

const healthy: MachineFacts = {
  nodeVersion: 'v24.21.0',
  platform: 'linux',
  cgroup: 'v2',
  hasSetpriv: true,
  dataDirectory: '/data',
  freeBytes: 50 * 1024 ** 3,
  url: 'http://127.0.0.1:9002',
  port: 'control-plane',
  control: { ok: true, version: '0.1.0', workerCount: 1 },
  readiness: { ready: true },
  health: { ...report, canaries: [{ queue: 'node', isUnderWay: false, latencyMs: 120, endedAtMs: 0 }] },
  clockSkewMs: 400,
};

describe('the doctor', () => {
  it('finds nothing on a healthy machine', () => {
    expect(judge(healthy).filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
  });

  it.each<[string, Partial<MachineFacts>, string]>([
    ['an old Node', { nodeVersion: 'v22.1.0' }, 'fail: node'],
    ['no sandbox', { sandboxFault: 'bwrap is not installed' }, 'warn: sandbox'],
    ['cgroups that cannot be written', { cgroup: 'read-only' }, 'warn: cgroup'],
    ['no cgroups', { cgroup: 'none' }, 'warn: cgroup'],
    ['no setpriv', { hasSetpriv: false }, 'warn: setpriv'],
    ['a data directory of somebody else', { dataFault: 'not writable for this user' }, 'fail: data directory'],
    ['a disk that fills up', { freeBytes: 1024 ** 3 }, 'warn: disk'],
    ['a full disk', { freeBytes: 1024 ** 2 }, 'fail: disk'],
    ['another program on the port', { port: 'stranger' }, 'fail: port'],
    ['a port that takes connections and is silent', { port: 'silent' }, 'fail: port'],
    ['no control plane', { control: { ok: false, code: 'UNREACHABLE', message: 'none' } }, 'warn: control plane'],
    ['a key that is not accepted', { control: { ok: false, code: 'UNAUTHENTICATED', message: 'no key' } }, 'fail: control plane'],
    ['no worker', { control: { ok: true, version: '0.1.0', workerCount: 0 } }, 'warn: control plane'],
    [
      'a part that stands still',
      { readiness: { ready: false, part: 'lane', detail: 'nothing is stored', remedy: 'Restart.' } },
      'fail: work',
    ],
    ['a control plane that drains', { readiness: { ready: false } }, 'fail: work'],
    ['runs that nothing moves', { health: { ...report, stuckRuns: ['run_1'] } }, 'fail: runs'],
    ['runs that are missing', { health: { ...report, imbalance: 1 } }, 'fail: runs'],
    [
      'canaries that fail',
      { health: { ...report, canaries: [{ queue: 'node', isUnderWay: false, error: { code: 'SANDBOX_UNAVAILABLE', message: 'none' } }] } },
      'warn: canaries',
    ],
    ['clocks that differ', { clockSkewMs: -60_000 }, 'warn: clock'],
  ])('names %s, and what to do', (_what, facts, expected) => {
    const found = judge({ ...healthy, ...facts }).filter((check) => check.verdict !== 'ok');
    expect(found.map(({ name, verdict, remedy }) => [`${verdict}: ${name}`, remedy === undefined])).toEqual([[expected, false]]);
  });

  it('says of a control plane with which part it is wrong, and what to do about that part', () => {
    const readiness = { ready: false, part: 'driver', detail: 'nobody has looked for due runs, for 14 s', remedy: 'Restart it.' } as const;
    expect(judge({ ...healthy, readiness, health: undefined })).toContainEqual({
      name: 'work',
      verdict: 'fail',
      finding: 'driver: nobody has looked for due runs, for 14 s',
      remedy: 'Restart it.',
    });
  });

  it('takes a free port and a missing control plane’s clock for no fault', () => {
    expect(judge({ ...healthy, port: 'free', clockSkewMs: undefined }).filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
  });
});
