import { FakeClock, guardLeaks, seededRandom } from '@hivekeeper/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Door, openDoor } from '../testing/door.ts';

guardLeaks();

let door: Door;
let clock: FakeClock;
beforeEach(async () => {
  clock = new FakeClock();
  door = await openDoor({ clock, random: seededRandom(1) });
});
afterEach(() => door[Symbol.asyncDispose]());

describe('backups', () => {
  it('are begun (202), waited for, listed newest first and verified', async () => {
    expect((await door.call('GET /v1/backups')).body).toEqual([]);
    const begun = await door.call('POST /v1/backups', { body: {} });
    expect(begun).toMatchObject({ status: 202, body: { state: 'WRITING' } });
    const { name } = begun.body;
    expect((await door.call(`GET /v1/backups/${name}?waitMs=30000`)).body).toMatchObject({ state: 'COMPLETE', rowCount: 1, epoch: 1 });
    expect((await door.call(`GET /v1/backups/${name}/verification`)).body).toMatchObject({ isSound: true, faults: [], partCount: 3 });
    clock.advance(5_000);
    const later = (await door.call('POST /v1/backups', { body: { keep: 5 } })).body.name;
    await door.call(`GET /v1/backups/${later}?waitMs=30000`);
    expect((await door.call('GET /v1/backups')).body.map((backup: { name: string }) => backup.name)).toEqual([later, name]);
  });

  it('beyond the number to keep are removed, the oldest first', async () => {
    const names: string[] = [];
    for (let count = 0; count < 3; count += 1) {
      const { name } = (await door.call('POST /v1/backups', { body: { keep: 2 } })).body;
      await door.call(`GET /v1/backups/${name}?waitMs=30000`);
      names.push(name);
      clock.advance(1_000);
    }
    expect((await door.call('GET /v1/backups')).body.map((backup: { name: string }) => backup.name)).toEqual([names[2], names[1]]);
  });

  it('are begun no more while the process stops', async () => {
    door.world.isDraining = true;
    expect((await door.call('POST /v1/backups', { body: {} })).body.error.code).toBe('SHUTTING_DOWN');
  });

  it('that do not exist are not found', async () => {
    const name = 'backup-20260102-030405-678';
    expect((await door.call(`GET /v1/backups/${name}`)).body.error.code).toBe('NOT_FOUND');
    expect((await door.call(`GET /v1/backups/${name}/verification`)).body.error.code).toBe('NOT_FOUND');
  });
});
