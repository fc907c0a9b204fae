import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDirectory } from './lock.ts';

describe('a directory', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lock-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('has one holder at a time, whose pid the next one is told', () => {
    const first = lockDirectory(directory);
    expect(() => lockDirectory(directory)).toThrow(
      expect.objectContaining({ code: 'DATA_DIRECTORY_IN_USE', message: expect.stringContaining(`process ${process.pid}`) }),
    );
    first[Symbol.dispose]();
    lockDirectory(directory)[Symbol.dispose]();
  });

  it('that cannot be locked at all is not said to be held', async () => {
    await mkdir(join(directory, 'lock'));
    expect(() => lockDirectory(directory)).toThrow(expect.objectContaining({ code: 'CONFIGURATION_INVALID' }));
  });

  it('whose holder cannot be written down is not kept', async () => {
    await mkdir(join(directory, 'holder.pid'));
    expect(() => lockDirectory(directory)).toThrow(expect.objectContaining({ code: 'CONFIGURATION_INVALID' }));
    await rm(join(directory, 'holder.pid'), { recursive: true });
    lockDirectory(directory)[Symbol.dispose]();
  });
});
