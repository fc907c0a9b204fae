import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSocketRoom } from './room.ts';

let base: string;
beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'hive-room-')));
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

describe('the room of a worker’s sockets', () => {
  it('gives each agent a place that is closed to all others, and keeps none that is over', () => {
    const room = openSocketRoom(base);
    const [one, two] = [room.makePlace(), room.makePlace()];
    expect([modeOf(dirname(one.directory)), modeOf(one.directory), modeOf(two.directory)]).toEqual(['711', '700', '700']);
    expect(one.directory).not.toBe(two.directory);
    writeFileSync(one.path, '');
    one[Symbol.dispose]();
    expect([existsSync(one.directory), existsSync(two.directory)]).toEqual([false, true]);
    room[Symbol.dispose]();
    expect(readdirSync(base)).toEqual([]);
  });

  it('removes what killed workers left, and nothing of those that live', () => {
    const { pid } = spawnSync('true');
    for (const name of [`hive-sockets-${pid}-abc`, `hive-sockets-${process.pid}-abc`, 'hive-sockets-', 'other'])
      mkdirSync(join(base, name, '1'), { recursive: true });
    using room = openSocketRoom(base);
    expect(readdirSync(base).sort()).toEqual(
      [`hive-sockets-${process.pid}-abc`, 'hive-sockets-', 'other', dirname(room.makePlace().directory).slice(base.length + 1)].sort(),
    );
  });

  it.runIf(process.getuid?.() === 0)('leaves what workers of another account left, and starts all the same', () => {
    const { pid } = spawnSync('true');
    const theirs = join(base, `hive-sockets-${pid}-theirs`);
    mkdirSync(theirs);
    chownSync(theirs, 65_534, 65_534);
    openSocketRoom(base)[Symbol.dispose]();
    expect(existsSync(theirs)).toBe(true);
  });

  it('says through which paths sockets could be reached', () => {
    using room = openSocketRoom(base);
    const { directory } = room.makePlace();
    for (const path of ['/', dirname(base), base, dirname(directory), directory, join(base, 'hive-sockets-1-x', '3')])
      expect(room.holds(path), path).toBe(true);
    for (const path of [join(base, 'work'), `${base}-other`, '/srv']) expect(room.holds(path), path).toBe(false);
  });
});
