import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runEventTypes } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { type History, read } from './history.ts';

const directory = join(import.meta.dirname, 'histories');
const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));
const histories = files.sort().map((name) => ({ name, ...(JSON.parse(readFileSync(join(directory, name), 'utf8')) as History) }));

describe('a journal that an earlier version wrote', () => {
  it.each(histories)('means what it meant: $name ($about)', (history) => {
    const { commits, end } = read(history);
    for (const [index, { then }] of history.commits.entries()) expect(commits[index]?.then, `commit ${index + 1}`).toEqual(then);
    for (const [what, known] of Object.entries(history.end)) expect(end[what as keyof typeof end], what).toEqual(known);
  });

  it('is there for every kind of event', () => {
    const recorded = new Set(histories.flatMap(({ commits }) => commits.flatMap(({ events }) => events.map(({ type }) => type))));
    expect([...recorded].sort()).toEqual([...runEventTypes].sort());
  });
});
