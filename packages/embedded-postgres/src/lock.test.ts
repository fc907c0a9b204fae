import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { lockDirectory } from './lock.ts';

it('a directory has one holder at a time, whose pid the next one is told', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'lock-'));
  try {
    const first = lockDirectory(directory);
    expect(() => lockDirectory(directory)).toThrow(`held by process ${process.pid}`);
    first[Symbol.dispose]();
    lockDirectory(directory)[Symbol.dispose]();
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
