import { chmod, mkdir, mkdtemp, readdir, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installedPackage, reachableBinaries } from './binaries.ts';

const stranger = { uid: 65_534, gid: 65_534 };

describe('the programs', () => {
  let base: string;
  let native: string;

  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'binaries-'));
    await chmod(base, 0o755);
    native = join(base, 'package', 'native');
    await mkdir(join(native, 'bin'), { recursive: true });
    await mkdir(join(native, 'lib'));
    await writeFile(join(native, 'bin', 'postgres'), 'program', { mode: 0o755 });
    await writeFile(join(native, 'lib', 'libz.so.1.2'), 'library');
    await writeFile(join(native, 'lib', 'libz.a'), 'archive');
    await writeFile(
      join(native, 'pg-symlinks.json'),
      JSON.stringify([{ source: 'native/lib/libz.so.1.2', target: 'native/lib/libz.so.1' }]),
    );
  });
  afterEach(() => rm(base, { recursive: true, force: true }));

  const reach = () => reachableBinaries({ version: '18.4.0', native }, stranger, join(base, 'system'));

  it('come with the package for this machine', async () => {
    const { version, native: installed } = await installedPackage();
    expect(version).toMatch(/^18\./);
    expect(await readdir(join(installed, 'bin'))).toContain('postgres');
  });

  it('are used where they are when the account can reach them', async () => {
    expect(await reach()).toMatchObject({
      majorVersion: '18',
      postgres: join(native, 'bin', 'postgres'),
      initdb: join(native, 'bin', 'initdb'),
    });
    expect(await readdir(base)).toEqual(['package']);
  });

  it('get the library links that an install without scripts leaves out', async () => {
    await reach();
    await reach();
    expect(await readlink(join(native, 'lib', 'libz.so.1'))).toBe('libz.so.1.2');
  });

  it('are copied once where the account cannot reach them, without what only a compiler needs', async () => {
    await chmod(join(base, 'package'), 0o700);
    // A link that is there already points inside, and must do so in the copy.
    await symlink('libz.so.1.2', join(native, 'lib', 'libz.so.1'));
    const copies = await Promise.all([reach(), reach(), reach()]);
    const copy = join(base, 'system', 'postgres-18.4.0');
    for (const { postgres } of copies) expect(postgres).toBe(join(copy, 'bin', 'postgres'));
    expect(await readdir(join(base, 'system'))).toEqual(['postgres-18.4.0']);
    expect(await readdir(join(copy, 'lib'))).toEqual(['libz.so.1', 'libz.so.1.2']);
    expect(await readlink(join(copy, 'lib', 'libz.so.1'))).toBe('libz.so.1.2');
  });
});
