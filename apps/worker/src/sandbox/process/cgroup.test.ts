import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ownerOfGroup } from './cgroup.ts';
import { findCgroupSite, sweepDeadGroups } from './cgroup-site.ts';

// Plain directories stand in for the kernel's: control files are then ordinary files that show what was written.
let top: string;
beforeEach(() => (top = mkdtempSync(join(tmpdir(), 'hive-cgroup-'))));
afterEach(() => rmSync(top, { recursive: true, force: true }));

const limits = { memoryBytes: 1_000_000, cpuCores: 0.5, maxProcesses: 10 };
const textOf = (...path: string[]) => readFileSync(join(top, ...path), 'utf8');
const make = (path: string, files: Readonly<Record<string, string>> = {}) => {
  mkdirSync(join(top, path), { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(top, path, name), content);
};
const v1View = (own = '/own') => ({
  membership: ['memory', 'pids', 'cpu,cpuacct'].map((controllers, index) => `${index}:${controllers}:${own}`).join('\n'),
  mounts: ['memory', 'pids', 'cpu,cpuacct']
    .map((controllers, index) => `3${index} 35 0:3 / ${join(top, controllers)} rw - cgroup cgroup rw,${controllers}`)
    .join('\n'),
});
const v2View = (own: string) => ({ membership: `0::${own}`, mounts: `30 25 0:26 / ${top} rw,nosuid shared:4 - cgroup2 cgroup2 rw` });
const offering = { 'cgroup.controllers': 'cpuset cpu io memory pids', 'cgroup.subtree_control': '' };

describe('control groups of version 1', () => {
  it('are made below the worker’s own group, so that its limits bound its agents too', () => {
    for (const controllers of ['memory', 'pids', 'cpu,cpuacct']) make(`${controllers}/own`);
    const site = findCgroupSite(v1View(), new FakeClock());
    expect(site?.version).toBe('v1');
    const group = site?.create(limits);
    const [name = ''] = site?.list() ?? [];
    expect(textOf('memory/own', name, 'memory.limit_in_bytes')).toBe('1000000');
    expect(textOf('pids/own', name, 'pids.max')).toBe('42');
    expect(textOf('cpu,cpuacct/own', name, 'cpu.cfs_quota_us')).toBe('50000');
    expect(group?.joinFiles).toHaveLength(3);
  });

  it('are made at the top where the worker’s own group is not there to be used', () => {
    for (const controllers of ['memory', 'pids', 'cpu,cpuacct']) make(controllers);
    expect(findCgroupSite(v1View(), new FakeClock())?.list()).toEqual([]);
  });

  it('do without cpu, but not without memory', () => {
    make('memory');
    make('pids');
    expect(findCgroupSite(v1View(), new FakeClock())?.create(limits).joinFiles).toHaveLength(2);
    rmSync(join(top, 'memory'), { recursive: true });
    expect(findCgroupSite(v1View(), new FakeClock())).toBeUndefined();
  });

  it('tell that the kernel killed a member for its memory', () => {
    for (const controllers of ['memory', 'pids']) make(controllers);
    const site = findCgroupSite(v1View('/'), new FakeClock());
    const group = site?.create(limits);
    expect(group?.hadMemoryKill()).toBe(false);
    writeFileSync(join(top, 'memory', site?.list()[0] ?? '', 'memory.oom_control'), 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n');
    expect(group?.hadMemoryKill()).toBe(true);
  });
});

describe('control groups of version 2', () => {
  it('are made where the controllers can be handed on: here beside the worker’s own group, as systemd delegates', () => {
    make('', { ...offering, 'cgroup.controllers': '' });
    make('unit', offering);
    make('unit/worker', { 'cgroup.controllers': '', 'cgroup.subtree_control': '' });
    const site = findCgroupSite(v2View('/unit/worker'), new FakeClock());
    expect(site?.version).toBe('v2');
    expect(textOf('unit', 'cgroup.subtree_control')).toBe('+memory +pids +cpu');
    const group = site?.create(limits);
    const name = readdirSync(join(top, 'unit')).find((entry) => entry.startsWith('hive-')) ?? '';
    expect([textOf('unit', name, 'memory.max'), textOf('unit', name, 'pids.max'), textOf('unit', name, 'cpu.max')]).toEqual([
      '1000000',
      '42',
      '50000 100000',
    ]);
    group?.killAll();
    expect(textOf('unit', name, 'cgroup.kill')).toBe('1');
    writeFileSync(join(top, 'unit', name, 'memory.events'), 'oom 1\noom_kill 1\n');
    expect(group?.hadMemoryKill()).toBe(true);
  });

  it('are not to be had where the hierarchy offers no controllers', () => {
    make('', { 'cgroup.controllers': '', 'cgroup.subtree_control': '' });
    expect(findCgroupSite(v2View('/'), new FakeClock())).toBeUndefined();
  });

  it('are found from inside a container, whose mount shows a part of the hierarchy', () => {
    make('', offering);
    const view = { membership: '0::/docker/abc', mounts: `30 25 0:26 /docker/abc ${top} rw - cgroup2 cgroup rw` };
    expect(findCgroupSite(view, new FakeClock())?.version).toBe('v2');
  });
});

describe('the groups of a worker that is gone', () => {
  it('are killed, and those of one that lives or of somebody else are left alone', async () => {
    make('', offering);
    const site = findCgroupSite(v2View('/'), new FakeClock());
    const { pid: deadPid } = spawnSync('true');
    const names = [`hive-${deadPid}-a1-0`, `hive-${process.pid}-a1-0`, 'hive-x', 'other'];
    for (const name of names) make(name);
    if (site !== undefined) await sweepDeadGroups(site);
    expect(names.filter((name) => existsSync(join(top, name, 'cgroup.kill')))).toEqual([`hive-${deadPid}-a1-0`]);
  });

  it('are known by their names', () => {
    expect(ownerOfGroup('hive-123-k2j-4')).toBe(123);
    expect(ownerOfGroup('hive-123')).toBeUndefined();
    expect(ownerOfGroup('system.slice')).toBeUndefined();
  });
});
