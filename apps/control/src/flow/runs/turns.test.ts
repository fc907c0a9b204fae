import { defaultTenantId, HiveError, type RunId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { beforeEach, describe, expect, it } from 'vitest';
import type { RunLane } from './lane.ts';
import type { TurnDecision, TurnQueue, TurnStore, Waiter } from './turn-store.ts';
import { giveTurns, Turns } from './turns.ts';

const run = (number: number) => `run_${number}` as RunId;
const waiter = (number: number, more: Partial<Waiter> = {}): Waiter => ({ runId: run(number), limit: 1, priority: 0, ...more });
const holder = (number: number, isBegun = true) => ({ runId: run(number), isBegun });
const decided = (queue: TurnQueue) => {
  const { given, ended } = giveTurns(queue);
  return { given, ended: ended.map(({ runId, reason }) => `${runId} ${reason}`) };
};

describe('who goes next', () => {
  it('is the older one, as many as there is room for', () => {
    const waiting = [waiter(4, { limit: 3 }), waiter(3, { limit: 3 }), waiter(5, { limit: 3 })];
    expect(decided({ holders: [holder(1)], waiting })).toEqual({ given: [run(3), run(4)], ended: [] });
  });

  it('is nobody where there is no room', () => {
    expect(decided({ holders: [holder(1), holder(2)], waiting: [waiter(3, { limit: 2 })] })).toEqual({ given: [], ended: [] });
  });

  it('is the one of higher priority', () => {
    expect(decided({ holders: [], waiting: [waiter(1), waiter(2, { priority: 5 })] }).given).toEqual([run(2)]);
  });

  it('is nobody past one for which there is no room, though its own limit would let it', () => {
    expect(decided({ holders: [holder(1)], waiting: [waiter(2, { limit: 1 }), waiter(3, { limit: 9 })] }).given).toEqual([]);
  });

  it('is the newest that replaces: what waited before it ends, and of the holders the oldest', () => {
    const waiting = [waiter(3, { overlap: 'replace', limit: 2 }), waiter(4, { overlap: 'replace', limit: 2 })];
    expect(decided({ holders: [holder(1), holder(2)], waiting })).toEqual({
      given: [],
      ended: ['run_1 replaced by run_4', 'run_3 replaced by run_4'],
    });
    expect(decided({ holders: [holder(2)], waiting: [waiter(4, { overlap: 'replace', limit: 2 })] })).toEqual({
      given: [run(4)],
      ended: [],
    });
  });

  it('is not one that may be skipped where there is no room: it ends, and is told who goes', () => {
    const waiting = [waiter(2, { overlap: 'skip' })];
    expect(decided({ holders: [holder(1)], waiting }).ended).toEqual(['run_2 skipped: one run goes at a time, and run_1 has not ended']);
    expect(decided({ holders: [], waiting: [...waiting, waiter(3, { overlap: 'skip' })] })).toEqual({
      given: [run(2)],
      ended: ['run_3 skipped: one run goes at a time, and run_2 has not ended'],
    });
    expect(decided({ holders: [holder(1), holder(2)], waiting: [waiter(3, { overlap: 'skip', limit: 2 })] }).ended[0]).toContain(
      '2 runs go at a time',
    );
  });
});

describe('giving turns', () => {
  const key = { tenantId: defaultTenantId, key: 'k' };
  const other = { tenantId: defaultTenantId, key: 'other' };
  let settled: string[];
  let told: string[];
  let queue: TurnQueue;
  let decisions: TurnDecision[];
  let gate: Promise<void>;
  let turns: Turns;
  /** How the runs stand when they are told. */
  let standing: { readonly phase: { readonly kind: string }; readonly pendingApprovalCount: number };

  const store: TurnStore = {
    settle: async ({ key: name }, decide) => {
      settled.push(name);
      await gate;
      const decision = decisions.shift() ?? decide(queue);
      const shown = queue;
      queue = { holders: [], waiting: [] };
      return { ...shown, ...decision };
    },
    unsettled: async () => [key, other],
    holders: async () => [],
  };
  const lane = {
    submit: async ({ runId, judge }: Parameters<RunLane['submit']>[0]) => {
      const event = judge(standing as never, 1);
      told.push(`${runId} ${event?.type}`);
    },
  } as RunLane;

  beforeEach(() => {
    [settled, told, decisions, gate] = [[], [], [], Promise.resolve()];
    queue = { holders: [], waiting: [] };
    standing = { phase: { kind: 'queued' }, pendingApprovalCount: 0 };
    turns = new Turns({ store, lane, log: newLog({ level: 'silent', component: 'test' }) });
  });

  it('tells a run that it goes, also one that was given its turn by a control plane that died', async () => {
    queue = { holders: [holder(1, false), holder(2)], waiting: [waiter(3, { limit: 9 })] };
    turns.look(key);
    await turns[Symbol.asyncDispose]();
    expect(told.sort()).toEqual(['run_1 run.admitted', 'run_3 run.admitted']);
  });

  it('ends what is skipped or replaced, but no run that has begun because it was to be skipped', async () => {
    const ending = (number: number, isSkip: boolean) => ({ runId: run(number), reason: 'r', isSkip });
    for (const [kind, expected] of [
      ['queued', ['run_1 run.cancelled', 'run_2 run.cancelled']],
      ['live', ['run_1 undefined', 'run_2 run.cancelled']],
    ] as const) {
      [told, standing] = [[], { ...standing, phase: { kind } }];
      decisions.push({ given: [], ended: [ending(1, true), ending(2, false)] });
      turns.look(key);
      await turns[Symbol.asyncDispose]();
      expect(told).toEqual(expected);
    }
  });

  it('looks again after it gave turns, for more may wait than were shown', async () => {
    queue = { holders: [], waiting: [waiter(1)] };
    turns.look(key);
    await turns[Symbol.asyncDispose]();
    expect(settled).toEqual(['k', 'k']);
  });

  it('looks at a key once at a time, and once more for everybody who asked meanwhile', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    for (let count = 0; count < 5; count += 1) turns.look(key);
    turns.look(other);
    expect(settled).toEqual(['k', 'other']);
    for (let count = 0; count < 5; count += 1) turns.look(key);
    resolve();
    await turns[Symbol.asyncDispose]();
    expect(settled).toEqual(['k', 'other', 'k']);
  });

  it('goes on after a fault, with what the sweep finds', async () => {
    gate = Promise.reject(new HiveError('DATABASE_UNAVAILABLE'));
    turns.look(key);
    await turns[Symbol.asyncDispose]();
    gate = Promise.resolve();
    await turns.sweep();
    await turns[Symbol.asyncDispose]();
    expect(settled).toEqual(['k', 'k', 'other']);
  });
});
