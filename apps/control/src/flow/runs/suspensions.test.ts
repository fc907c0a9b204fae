import {
  type EffectId,
  HiveError,
  type RunId,
  type SuspendRequest,
  type Suspension,
  type TenantId,
  type TicketId,
  type WorkerId,
} from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import type { AwaitedEffect } from '../../records/effects/index.ts';
import { Suspensions } from './suspensions.ts';

const effectId = 'eff_1' as EffectId;
const shown = { workerId: 'wrk_1' as WorkerId, ticketId: 'tkt_1' as TicketId, token: '1.1' };
const onEffect = { ...shown, suspension: { kind: 'effect', step: 'pay', effectId, tool: 'bank.pay' } } as SuspendRequest & {
  suspension: Suspension;
};
const onTime = { ...shown, suspension: { kind: 'timer', step: 's', forMs: 5 } } as SuspendRequest & { suspension: Suspension };

/** A run and a ledger that do as they are told, and in which order that was. A kill ends everything at the step it names. */
class World {
  readonly steps: string[] = [];
  effect: 'unknown' | 'known' = 'unknown';
  isAwaited = false;
  isTicketLive = true;
  isWaiting = false;
  /** The steps until the kill, and whether the last of them still took effect. */
  kill: { readonly at: string; readonly isLastDone: boolean } | undefined;
  parkFault: HiveError | undefined;
  readonly suspensions = new Suspensions({
    runs: {
      suspend: async () => this.#do('suspend', () => Object.assign(this, { isTicketLive: false, isWaiting: true })),
    },
    orders: {
      // No news to a run that does not wait.
      effectResolved: async () => this.#do('news', () => (this.isWaiting = false)),
    },
    ledger: {
      park: async () => {
        if (this.parkFault !== undefined) throw this.parkFault;
        this.#do('park', () => (this.isAwaited = true));
      },
      resolve: async () => {
        this.#do('resolve', () => (this.effect = 'known'));
        return undefined as never;
      },
    },
    effects: {
      awaited: async () => (this.isAwaited && this.effect === 'known' ? [this.#awaited()] : []),
      forgetAwaiting: async () => this.#do('forget', () => (this.isAwaited = false)),
    },
  });

  #do(step: string, change: () => unknown): void {
    this.steps.push(step);
    const isKilled = this.steps.join(' ') === this.kill?.at;
    if (!isKilled || this.kill?.isLastDone === true) change();
    if (isKilled) throw new RangeError('killed');
  }

  #awaited(): AwaitedEffect {
    const { isTicketLive } = this;
    return { id: effectId, tenantId: 'ten_1' as TenantId, runId: 'run_1' as RunId, awaitedBy: shown.ticketId, by: 'anna', isTicketLive };
  }
}

const resolving = (world: World) => world.suspensions.resolve({ tenantId: 'ten_1' as TenantId, effectId }, { happened: true, by: 'anna' });

describe('a ticket that is given back', () => {
  it('to wait for time ends, and nothing else', async () => {
    const world = new World();
    await world.suspensions.suspend(onTime);
    expect(world.steps).toEqual(['suspend']);
  });

  it('to wait for news of an effect has that noted first', async () => {
    const world = new World();
    await world.suspensions.suspend(onEffect);
    expect(world.steps).toEqual(['park', 'suspend']);
  });

  it('goes on when a person says what became of the effect', async () => {
    const world = new World();
    await world.suspensions.suspend(onEffect);
    await resolving(world);
    expect(world.steps).toEqual(['park', 'suspend', 'resolve', 'news', 'forget']);
    expect(world.isWaiting).toBe(false);
  });

  it('goes on at once where the person was faster', async () => {
    const world = new World();
    world.isAwaited = true;
    await resolving(world);
    expect(world.steps).toEqual(['resolve', 'news']);
    await world.suspensions.suspend(onEffect);
    expect([world.isWaiting, world.isAwaited]).toEqual([false, false]);
  });

  it('that somebody else holds, or was given back before, is left to the journal to judge', async () => {
    const world = new World();
    world.parkFault = new HiveError('TICKET_NOT_HELD');
    await world.suspensions.suspend(onEffect);
    expect(world.steps).toEqual(['suspend']);
  });

  it('is kept where the effect is not its own, with a fault that its worker does not take for a control plane that forgot it', async () => {
    const world = new World();
    world.parkFault = new HiveError('NOT_FOUND');
    await expect(world.suspensions.suspend(onEffect)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    world.parkFault = new HiveError('EFFECT_NOT_DISPATCHED');
    await expect(world.suspensions.suspend(onEffect)).rejects.toMatchObject({ code: 'EFFECT_NOT_DISPATCHED' });
    expect(world.steps).toEqual([]);
  });

  const whole = ['park', 'suspend', 'resolve', 'news', 'forget'];
  const kills = whole.flatMap((_, index) => [true, false].map((isLastDone) => ({ at: whole.slice(0, index + 1).join(' '), isLastDone })));
  it.each(kills)('never waits for ever where everything is killed at the last of: $at (done: $isLastDone)', async (kill) => {
    const world = new World();
    world.kill = kill;
    const steps = [() => world.suspensions.suspend(onEffect), () => resolving(world)];
    await expect(steps.reduce((before, step) => before.then(step), Promise.resolve())).rejects.toThrow('killed');
    // Whoever got no answer asks again; the next start tells what was left untold.
    if (world.isTicketLive) await world.suspensions.suspend(onEffect);
    if (world.effect === 'unknown') await resolving(world);
    await world.suspensions.tell();
    expect([world.effect, world.isWaiting, world.isAwaited]).toEqual(['known', false, false]);
  });

  it('is told of by the sweep for as long as its run may not know yet that it waits', async () => {
    const world = new World();
    Object.assign(world, { effect: 'known', isAwaited: true });
    await world.suspensions.tell();
    expect([world.steps, world.isAwaited]).toEqual([['news'], true]);
    // The suspension was under way, and its control plane is killed right after it.
    Object.assign(world, { isTicketLive: false, isWaiting: true });
    await world.suspensions.tell();
    expect([world.isWaiting, world.isAwaited]).toEqual([false, false]);
  });

  it('is told of also where the news before it cannot be told', async () => {
    const told: string[] = [];
    const awaited = ['eff_1', 'eff_2'].map((id) => ({ id, runId: `run of ${id}`, isTicketLive: true }));
    const suspensions = new Suspensions({
      effects: { awaited: async () => awaited as never, forgetAwaiting: async () => {} },
      orders: {
        effectResolved: async ({ effectId: id }) => {
          if (id === 'eff_1') throw new HiveError('DATABASE_UNAVAILABLE');
          told.push(id);
        },
      },
      ...({} as Pick<ConstructorParameters<typeof Suspensions>[0], 'runs' | 'ledger'>),
    });
    await expect(suspensions.tell()).rejects.toMatchObject({ code: 'DATABASE_UNAVAILABLE' });
    expect(told).toEqual(['eff_2']);
  });
});
