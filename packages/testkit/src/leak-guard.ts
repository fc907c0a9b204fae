import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect } from 'vitest';

const guarded = new Set(['TCPSocketWrap', 'TCPServerWrap', 'PipeWrap', 'PipeServerWrap', 'UDPWrap', 'ProcessWrap']);
// Closing a socket or reaping a child takes a few turns of the event loop.
const patienceMs = 2_000;
const pollMs = 10;

/**
 * Fails the test file when it leaves a socket, server, child process or timer behind that keeps the process alive. Call
 * it first in the file, so that it looks after every other clean-up. Timers that do not keep the process alive cannot
 * be seen.
 */
export function guardLeaks(): void {
  let leaks: () => Promise<readonly string[]>;
  beforeAll(() => {
    leaks = watchLeaks();
  });
  afterAll(async () => expect(await leaks(), 'resources left open').toEqual([]));
}

/** The returned function names, once, what was opened since and is still open after a moment of patience. */
export function watchLeaks(): () => Promise<readonly string[]> {
  const before = openResources();
  const timers = watchTimers();
  const leaks = () => [...opened(before), ...Array.from(timers.pending(), () => 'Timeout')];
  return async () => {
    const deadlineMs = performance.now() + patienceMs;
    while (leaks().length > 0 && performance.now() < deadlineMs) await wait(pollMs);
    timers.restore();
    return leaks();
  };
}

/** Notes every timer that is set through the global functions; the test runner keeps its own from before, so its timers are not ours. */
function watchTimers(): { pending(): readonly NodeJS.Timeout[]; restore(): void } {
  const originals = { setTimeout, setInterval, clearTimeout, clearInterval };
  const timers = new Set<NodeJS.Timeout>();
  const forget = (timer: Parameters<typeof clearTimeout>[0]) => {
    timers.delete(timer as NodeJS.Timeout);
    originals.clearTimeout(timer);
  };
  const noted = (timer: NodeJS.Timeout) => {
    timers.add(timer);
    return timer;
  };
  const replacements = {
    setTimeout: (callback: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) => {
      const timer = noted(originals.setTimeout(() => (timers.delete(timer), callback(...args)), delayMs));
      return timer;
    },
    setInterval: (callback: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) =>
      noted(originals.setInterval(callback, delayMs, ...args)),
    clearTimeout: forget,
    clearInterval: forget,
  };
  // What `util.promisify(setTimeout)` looks for.
  Object.defineProperty(replacements.setTimeout, promisify.custom, { value: wait });
  Object.assign(globalThis, replacements);
  return { pending: () => [...timers].filter((timer) => timer.hasRef()), restore: () => void Object.assign(globalThis, originals) };
}

const openResources = (): readonly string[] => process.getActiveResourcesInfo().filter((kind) => guarded.has(kind));

/** What is open now and was not before, as a multiset difference. */
function opened(before: readonly string[]): string[] {
  const known = [...before];
  return openResources().filter((kind) => {
    const index = known.indexOf(kind);
    if (index < 0) return true;
    known.splice(index, 1);
    return false;
  });
}
