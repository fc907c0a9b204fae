import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect } from 'vitest';

const guarded = new Set(['TCPSocketWrap', 'TCPServerWrap', 'PipeWrap', 'PipeServerWrap', 'UDPWrap', 'ProcessWrap', 'Timeout']);
// Closing a socket or reaping a child takes a few turns of the event loop.
const patienceMs = 2_000;
const pollMs = 10;

/**
 * Fails the test file when it leaves a socket, server, child process or timer behind that keeps the process alive. Call it first in the file, so
 * that it looks after every other clean-up. Timers that do not keep the process alive cannot be seen.
 */
export function guardLeaks(): void {
  let before: readonly string[] = [];
  beforeAll(() => {
    before = openResources();
  });
  afterAll(async () => {
    const deadlineMs = performance.now() + patienceMs;
    while (leaked(before).length > 0 && performance.now() < deadlineMs) await wait(pollMs);
    expect(leaked(before), 'resources left open').toEqual([]);
  });
}

const openResources = (): readonly string[] => process.getActiveResourcesInfo().filter((kind) => guarded.has(kind));

/** What is open now and was not before, as a multiset difference. */
function leaked(before: readonly string[]): string[] {
  const known = [...before];
  return openResources().filter((kind) => {
    const index = known.indexOf(kind);
    if (index < 0) return true;
    known.splice(index, 1);
    return false;
  });
}
