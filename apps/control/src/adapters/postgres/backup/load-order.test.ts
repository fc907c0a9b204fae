import { describe, expect, it } from 'vitest';
import { loadOrder } from './load-order.ts';

describe('the order in which tables are loaded', () => {
  it('has what is referred to before what refers, over any number of steps, and a reference to itself is none', () => {
    const references = [
      { from: 'a', to: 'b' },
      { from: 'b', to: 'c' },
      { from: 'b', to: 'b' },
    ];
    expect(loadOrder(['a', 'b', 'c', 'd'], references)).toEqual(['c', 'd', 'b', 'a']);
  });

  it('puts a circle at its end, and loses no table', () => {
    const references = [
      { from: 'a', to: 'b' },
      { from: 'b', to: 'a' },
    ];
    expect(loadOrder(['a', 'b', 'c'], references)).toEqual(['c', 'a', 'b']);
  });
});
