import { expect, it } from 'vitest';
import { matchesPattern } from './pattern.ts';

it.each([
  ['graph.indexed.7', 'graph.indexed.7', true],
  ['graph.*', 'graph.updated', true],
  ['graph.*', 'graph.file.updated', false],
  ['graph.*.7', 'graph.indexed.7', true],
  ['graph.>', 'graph.file.updated', true],
  ['graph.>', 'graph', false],
  ['>', 'anything.at.all', true],
  ['*', 'one', true],
  ['*', 'one.two', false],
  ['graph', 'graphs', false],
  ['a+b.c', 'aab.c', false],
  ['graph.*', 'graph.', false],
])('%s means %s: %s', (pattern, text, isMeant) => {
  expect(matchesPattern(pattern, text)).toBe(isMeant);
});
