import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Gives back to the system what only the start of this process needed: one full collection, which also shrinks the young
 * generation that loading modules has grown. An idle process would keep it for ever, since V8 collects when it allocates. Blocks for
 * about 25 ms; to be called once, when everything is loaded. What was measured: docs/decisions/0009.
 */
export function releaseStartMemory(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function') collect();
}
