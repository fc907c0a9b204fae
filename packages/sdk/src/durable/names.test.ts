import { describe, expect, it } from 'vitest';
import { EffectNames, StepNames } from './names.ts';

describe('names of steps', () => {
  it('are numbered in the order of the calls that have the same name', () => {
    const names = new StepNames();
    expect(['a', 'b', 'a', 'a', 'b'].map((name) => names.next(name))).toEqual(['a', 'b', 'a#2', 'a#3', 'b#2']);
  });
});

describe('names of effects', () => {
  const calls = [
    ['pay', { to: 'ann', cents: 1 }],
    ['pay', { to: 'ben', cents: 1 }],
    ['mail', { to: 'ann' }],
  ] as const;
  const named = (order: readonly number[]) => {
    const names = new EffectNames();
    const all = order.map((index) => {
      const [name, args] = calls[index] ?? expect.fail();
      const entered = names.enter(name, args);
      entered.leave(true);
      return [index, entered.step] as const;
    });
    return Object.fromEntries(all);
  };

  it('do not depend on the order of calls that differ', () => {
    expect(named([2, 1, 0])).toEqual(named([0, 1, 2]));
  });

  it('do not depend on how the arguments are written', () => {
    const names = new EffectNames();
    names.enter('pay', { to: 'ann', cents: 1 }).leave(true);
    expect(names.enter('pay', { cents: 1.0, to: 'ann', note: undefined }).step).toBe('pay#2');
  });

  it('count the same call again as another where the first is over or under way, and as the same where it is not over', () => {
    const names = new EffectNames();
    const first = names.enter('pay', {});
    const second = names.enter('pay', {});
    expect([first.step, second.step]).toEqual(['pay', 'pay#2']);
    second.leave(true);
    first.leave(false);
    const again = names.enter('pay', {});
    expect(again.step).toBe('pay');
    again.leave(true);
    expect(names.enter('pay', {}).step).toBe('pay#3');
  });
});
