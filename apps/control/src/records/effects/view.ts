import type { EffectView } from '@hivekeeper/contract';
import { type Effect, silentEnd } from './effect.ts';

const inner: ReadonlySet<string> = new Set<keyof Effect>(['tenantId', 'argsSha256', 'dispatchedBy', 'awaitedBy', 'version']);

/** The effect as the API shows it. `isAtWork`: the attempt that was told to make it holds its ticket still. */
export function viewOf(effect: Effect, isAtWork: boolean): EffectView {
  const all = {
    ...effect,
    ...(effect.state === 'dispatched' && !isAtWork && { state: 'unknown', reason: silentEnd }),
    ticketId: effect.dispatchedBy?.ticketId,
    workerId: effect.dispatchedBy?.workerId,
  };
  return Object.fromEntries(Object.entries(all).filter(([name, value]) => value !== undefined && !inner.has(name))) as EffectView;
}
