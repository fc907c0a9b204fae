import type { EffectState, TenantId } from '@hivekeeper/contract';
import { type Claim, type Effect, type EffectStore, type Found, type Target, viewOf } from '../../records/effects/index.ts';
import type { MemoryTables } from './memory-tables.ts';

/** {@link EffectStore} over the tables. */
export const memoryEffectStore = (tables: MemoryTables): EffectStore => ({
  ...workerCalls(tables),
  ...newsCalls(tables),
  ...peoplesCalls(tables),
});

function holderOf(tables: MemoryTables, claim: Claim): Found['holder'] {
  const ticket = tables.tickets.get(claim.ticketId);
  if (ticket === undefined || ticket.token !== claim.counter || ticket.workerId !== claim.workerId) return undefined;
  const { tenantId, runId, nodeId, slot } = ticket;
  return { tenantId, runId, nodeId, slot, ...claim };
}

const workerCalls = (tables: MemoryTables): Pick<EffectStore, 'change' | 'recordSteps' | 'steps'> => ({
  change: async (calls, judge) => {
    for (const [index, { claim, target }] of calls.entries()) {
      const holder = holderOf(tables, claim);
      const change = judge({ holder, effect: holder === undefined ? undefined : effectAt(tables, holder, target) }, index);
      if (change !== undefined) tables.effects.set(change.effect.id, change.effect);
    }
  },
  recordSteps: async (records) =>
    records.map(({ claim, step, outcome }) => {
      const holder = holderOf(tables, claim);
      if (holder === undefined) return undefined;
      const key = stepKeyOf(holder, step);
      const recorded = tables.steps.get(key) ?? { step, outcome };
      tables.steps.set(key, recorded);
      return recorded.outcome;
    }),
  steps: async (claim, { after = '', limit }) => {
    const holder = holderOf(tables, claim);
    if (holder === undefined) return undefined;
    return [...tables.steps]
      .filter(([key, { step }]) => key === stepKeyOf(holder, step) && step > after)
      .map(([, entry]) => entry)
      .sort((a, b) => (a.step < b.step ? -1 : 1))
      .slice(0, limit);
  },
});

const newsCalls = (tables: MemoryTables): Pick<EffectStore, 'awaited' | 'forgetAwaiting'> => ({
  awaited: async (only) =>
    [...tables.effects.values()]
      .filter(({ id, awaitedBy, state }) => awaitedBy !== undefined && state !== 'unknown' && (only ?? id) === id)
      .map(({ id, tenantId, runId, awaitedBy, resolvedBy = 'platform' }) => ({
        ...{ id, tenantId, runId, awaitedBy },
        by: resolvedBy,
        isTicketLive: awaitedBy !== undefined && tables.tickets.has(awaitedBy),
      })),
  forgetAwaiting: async ({ id }) => {
    const effect = tables.effects.get(id);
    if (effect !== undefined) tables.effects.set(id, { ...effect, awaitedBy: undefined });
  },
});

function peoplesCalls(tables: MemoryTables): Pick<EffectStore, 'resolve' | 'list' | 'effect' | 'counts'> {
  const isAtWork = ({ dispatchedBy }: Effect): boolean =>
    dispatchedBy !== undefined && tables.tickets.get(dispatchedBy.ticketId)?.token === dispatchedBy.counter;
  const viewsOf = (tenantId: TenantId) =>
    [...tables.effects.values()].filter((effect) => effect.tenantId === tenantId).map((effect) => viewOf(effect, isAtWork(effect)));
  return {
    resolve: async ({ tenantId, effectId }, judge) => {
      const effect = tables.effects.get(effectId);
      if (effect?.tenantId !== tenantId) return undefined;
      const changed = judge(effect, isAtWork(effect))?.effect ?? effect;
      tables.effects.set(effectId, changed);
      return changed;
    },
    list: async (tenantId, { run, state, after = '', limit }) =>
      viewsOf(tenantId)
        .filter((effect) => (run ?? effect.runId) === effect.runId && (state ?? effect.state) === effect.state && effect.id > after)
        .slice(0, limit),
    effect: async (tenantId, effectId) => viewsOf(tenantId).find(({ id }) => id === effectId),
    counts: async (tenantId, runId) => {
      const counts: Partial<Record<EffectState, number>> = {};
      for (const effect of viewsOf(tenantId)) if (effect.runId === runId) counts[effect.state] = (counts[effect.state] ?? 0) + 1;
      return counts;
    },
  };
}

const stepKeyOf = ({ runId, nodeId, slot }: NonNullable<Found['holder']>, step: string): string =>
  JSON.stringify([runId, nodeId, slot, step]);

const effectAt = (tables: MemoryTables, holder: NonNullable<Found['holder']>, target: Target): Effect | undefined =>
  [...tables.effects.values()].find(
    (effect) =>
      effect.runId === holder.runId &&
      effect.nodeId === holder.nodeId &&
      effect.slot === holder.slot &&
      ('effectId' in target
        ? effect.id === target.effectId
        : effect.step === target.step && effect.tool === target.tool && effect.argsSha256 === target.argsSha256),
  );
