import { HiveError } from '@hivekeeper/contract/hive-error';
import { describe, expect, it } from 'vitest';
import type { AgentContext } from './context.ts';
import { FinalError, NotDoneError } from './errors.ts';
import { World } from './world-under-test.ts';

const returned = (output: unknown) => ({ kind: 'returned', output });

describe('a step', () => {
  it('is done once, and gives what was recorded in every later execution', async () => {
    const world = new World();
    let calls = 0;
    const run = (ctx: AgentContext) => ctx.step('now', () => ({ at: new Date(5), call: (calls += 1), nothing: undefined }));
    expect(await world.execute(run)).toEqual(returned({ at: '1970-01-01T00:00:00.005Z', call: 1 }));
    expect(await world.execute(run)).toEqual(returned({ at: '1970-01-01T00:00:00.005Z', call: 1 }));
    expect(calls).toBe(1);
  });

  it('in a loop has a name for each turn', async () => {
    const world = new World();
    const run = async (ctx: AgentContext) => {
      const all: number[] = [];
      for (let turn = 0; turn < 3; turn += 1) all.push(await ctx.step('turn', () => turn * 10));
      return all;
    };
    expect(await world.live(run)).toEqual(returned([0, 10, 20]));
    expect([...world.steps.keys()]).toEqual(['turn', 'turn#2', 'turn#3']);
    expect(await world.execute(run)).toEqual(returned([0, 10, 20]));
  });

  it('that fails is done again, unless its error is final: then it fails the same way without being done', async () => {
    const world = new World();
    let calls = 0;
    const run = async (ctx: AgentContext) => {
      await ctx.step('flaky', () => {
        calls += 1;
        if (calls === 1) throw new RangeError('later');
      });
      return ctx.step('doomed', () => {
        calls += 1;
        throw new FinalError('declined', { code: 'CARD_DECLINED' });
      });
    };
    expect(await world.execute(run)).toMatchObject({ kind: 'failed', error: { message: 'later' } });
    for (let turn = 0; turn < 2; turn += 1)
      expect(await world.execute(run)).toMatchObject({
        kind: 'failed',
        error: { name: 'FinalError', code: 'CARD_DECLINED', message: 'declined' },
      });
    expect(calls).toBe(3);
  });

  it('records an error of the platform where a retry would not help', async () => {
    const world = new World();
    const failing = (code: 'UNKNOWN_AGENT' | 'UNREACHABLE') => (ctx: AgentContext) =>
      ctx.step(code, () => {
        throw new HiveError(code);
      });
    for (const code of ['UNKNOWN_AGENT', 'UNREACHABLE'] as const)
      expect(await world.execute(failing(code))).toMatchObject({ kind: 'failed', error: { code } });
    expect([...world.steps.keys()]).toEqual(['UNKNOWN_AGENT']);
  });

  it('cannot have the name of what was waited for, nor call another', async () => {
    const world = new World();
    await world.live((ctx) => ctx.sleep('x', 5));
    expect(await world.execute((ctx) => ctx.step('x', () => 1))).toMatchObject({ error: { code: 'AGENT_STEPS_MISUSED' } });
    for (const inner of [
      (ctx: AgentContext) => ctx.step('inner', () => 1),
      (ctx: AgentContext) => ctx.sleep('inner', 5),
      (ctx: AgentContext) => ctx.effect('inner', {}, () => 1),
    ]) {
      const end = await world.execute((ctx) => ctx.step<unknown>('outer', () => inner(ctx)));
      expect(end).toMatchObject({ error: { code: 'AGENT_STEPS_MISUSED', message: '"inner" is called inside of "outer"' } });
    }
  });
});

describe('waiting', () => {
  it('ends the execution, and the next one has the answer', async () => {
    const world = new World();
    const run = async (ctx: AgentContext) => [
      await ctx.sleep('nap', 5_000),
      await ctx.signal('paid', { key: 'order-1', expiresAfterMs: 60_000 }),
      await ctx.approve('may I', { message: 'May I?', input: { cents: 5 } }),
      await ctx.agent('ask', 'scanner', { action: 'scan', input: { target: '/' } }),
    ];
    expect(await world.live(run)).toEqual(returned(['timer came', 'signal came', 'approval came', 'agent came']));
    expect(world.suspensions).toEqual([
      { kind: 'timer', step: 'nap', forMs: 5_000 },
      { kind: 'signal', step: 'paid', name: 'paid', key: 'order-1', expiresAfterMs: 60_000 },
      { kind: 'approval', step: 'may I', message: 'May I?', input: { cents: 5 }, expiresAfterMs: 86_400_000 },
      { kind: 'agent', step: 'ask', agent: 'scanner', action: 'scan', input: { target: '/' } },
    ]);
    expect(world.attempt).toBe(5);
  });

  it('for what fails throws its failure', async () => {
    const world = new World();
    world.waits.set('paid', { ok: false, error: { code: 'SIGNAL_EXPIRED', message: 'too late' } });
    expect(await world.execute((ctx) => ctx.signal('paid'))).toMatchObject({ error: { code: 'SIGNAL_EXPIRED', message: 'too late' } });
  });

  it('begins when what is under way is over, and nothing begins after it', async () => {
    const world = new World();
    let open = () => undefined as void;
    const gate = new Promise<void>((resolve) => (open = resolve));
    let late = 0;
    const end = world.execute(async (ctx) => {
      const step = ctx.step('slow', async () => {
        await gate;
        return 'done';
      });
      const sleep = ctx.sleep('nap', 5);
      void step.then(() => ctx.step('late', () => (late += 1)));
      return Promise.all([step, sleep]);
    });
    await new Promise(setImmediate);
    expect(world.suspensions).toEqual([]);
    open();
    expect(await end).toMatchObject({ kind: 'suspended' });
    await new Promise(setImmediate);
    expect([[...world.steps.keys()], late]).toEqual([['slow'], 0]);
  });
});

describe('an effect', () => {
  const pay = (world: World) => (ctx: AgentContext) =>
    ctx.effect('pay', { to: 'ann' }, ({ idempotencyKey }) => (world.outside.push(idempotencyKey), 'receipt'));

  it('happens once, and gives what it gave in every later execution', async () => {
    const world = new World();
    expect(await world.execute(pay(world))).toEqual(returned('receipt'));
    expect(await world.execute(pay(world))).toEqual(returned('receipt'));
    expect(world.outside).toEqual(['pay pay {"to":"ann"}']);
  });

  it('that times out after it happened is found by its probe', async () => {
    const world = new World();
    const run = (ctx: AgentContext) =>
      ctx.effect(
        'pay',
        {},
        () => {
          world.outside.push('paid');
          throw new RangeError('time-out');
        },
        { probe: () => (world.outside.length > 0 ? { happened: true, output: 'found' } : { happened: false }) },
      );
    expect(await world.live(run)).toEqual(returned('found'));
    expect([world.outside, world.attempt]).toEqual([['paid'], 1]);
  });

  it('that failed before it happened is tried again where its probe says so, or its own error', async () => {
    for (const [error, probe] of [
      [new RangeError('refused'), () => ({ happened: false }) as const],
      [new NotDoneError('refused'), undefined],
    ] as const) {
      const world = new World();
      let calls = 0;
      const run = (ctx: AgentContext) =>
        ctx.effect(
          'pay',
          {},
          () => {
            calls += 1;
            if (calls === 1) throw error;
            return calls;
          },
          probe === undefined ? {} : { probe },
        );
      expect(await world.execute(run)).toMatchObject({ kind: 'failed', error: { message: 'refused' } });
      expect(await world.execute(run)).toEqual(returned(2));
    }
  });

  it('without a probe waits for a person where nobody knows, and is made again only if they say so', async () => {
    for (const happened of [true, false]) {
      const world = new World();
      world.person = () => ({ happened, output: 'seen in the bank' });
      let calls = 0;
      const run = (ctx: AgentContext) =>
        ctx.effect('pay', {}, () => {
          calls += 1;
          if (calls === 1) throw new RangeError('time-out');
          return 'receipt';
        });
      expect(await world.live(run)).toEqual(returned(happened ? 'seen in the bank' : 'receipt'));
      expect(calls).toBe(happened ? 1 : 2);
      expect(world.suspensions).toEqual([{ kind: 'effect', step: 'pay', effectId: 'pay pay {}', tool: 'pay' }]);
    }
  });

  it('whose probe cannot tell waits for a person; one whose probe fails is looked at again', async () => {
    const world = new World();
    let probes = 0;
    const run = (ctx: AgentContext) =>
      ctx.effect('pay', {}, () => Promise.reject(new RangeError('time-out')), {
        probe: () => {
          probes += 1;
          if (probes === 1) throw new RangeError('the bank is closed');
          return undefined;
        },
      });
    expect(await world.execute(run)).toMatchObject({ error: { message: 'the bank is closed' } });
    expect(await world.execute(run)).toMatchObject({ kind: 'suspended', suspension: { kind: 'effect' } });
  });

  it('that is refused for good is over, and refused again without being tried', async () => {
    const world = new World();
    let calls = 0;
    const run = (ctx: AgentContext) =>
      ctx.effect('pay', {}, () => {
        calls += 1;
        throw new FinalError('declined');
      });
    for (let turn = 0; turn < 2; turn += 1)
      expect(await world.execute(run)).toMatchObject({ error: { name: 'FinalError', message: 'declined' } });
    expect(calls).toBe(1);
  });

  it('that is called again after it failed is the same effect, not a second', async () => {
    const world = new World();
    const run = async (ctx: AgentContext) => {
      const once = () => ctx.effect('pay', {}, () => Promise.reject(new NotDoneError('refused')));
      await once().catch(() => undefined);
      await once().catch(() => undefined);
    };
    await world.execute(run);
    expect([...world.effects.keys()]).toEqual(['pay pay {}']);
  });
});

describe('an agent that is killed', () => {
  /** Everything at once: steps in a loop, effects with and without probe, side by side, and waits. */
  const program = (world: World) => async (ctx: AgentContext) => {
    const make = (tool: string, number: number, hasProbe: boolean) =>
      ctx.effect(
        tool,
        { number },
        () => {
          world.outside.push(`${tool} ${number}`);
          return number;
        },
        hasProbe
          ? { probe: () => (world.outside.includes(`${tool} ${number}`) ? { happened: true, output: number } : { happened: false }) }
          : {},
      );
    let sum = 0;
    for (let turn = 1; turn <= 2; turn += 1) sum += await ctx.step('draw', () => turn);
    sum += await make('pay', sum, true);
    await ctx.sleep('nap', 1_000);
    const [one, two] = await Promise.all([make('mail', 1, false), make('mail', 2, true)]);
    return sum + one + two;
  };
  const callCount = async () => {
    const world = new World();
    expect(await world.live(program(world))).toEqual(returned(9));
    return world.callCount;
  };

  it('at any call, before or after it took effect, goes on and does every effect once', async () => {
    const count = await callCount();
    expect(count).toBeGreaterThan(10);
    for (let atCall = 1; atCall <= count; atCall += 1) {
      for (const isCallDone of [true, false]) {
        const world = new World([{ atCall, isCallDone }]);
        // The person looks at the world, as a person would.
        world.person = (effectId) => {
          const number = Number(/(\d+)\}$/.exec(effectId)?.[1]);
          return world.outside.includes(`mail ${number}`) ? { happened: true, output: number } : { happened: false };
        };
        expect(await world.live(program(world)), JSON.stringify({ atCall, isCallDone })).toEqual(returned(9));
        expect(world.outside.toSorted(), JSON.stringify({ atCall, isCallDone })).toEqual(['mail 1', 'mail 2', 'pay 3']);
        expect(world.attempt).toBeGreaterThanOrEqual(2);
      }
    }
  });

  it('twice, at any two calls, too', async () => {
    const count = await callCount();
    for (let first = 1; first <= count; first += 1) {
      for (let second = first + 1; second <= first + count; second += 1) {
        const world = new World([
          { atCall: first, isCallDone: true },
          { atCall: second, isCallDone: first % 2 === 0 },
        ]);
        world.person = (effectId) => {
          const number = Number(/(\d+)\}$/.exec(effectId)?.[1]);
          return world.outside.includes(`mail ${number}`) ? { happened: true, output: number } : { happened: false };
        };
        expect(await world.live(program(world))).toEqual(returned(9));
        expect(world.outside.toSorted()).toEqual(['mail 1', 'mail 2', 'pay 3']);
      }
    }
  });
});
