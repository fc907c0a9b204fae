/** `npx node tests/chaos/summary.ts`: adds up the results of the long chaos runs with fences, a figure a line. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChaosResult } from './harness/chaos.ts';

const directory = join(import.meta.dirname, 'results');
const names = (await readdir(directory)).filter((name) => /^fenced-\d{4,}-.*\.json$/.test(name)).sort();
const results = await Promise.all(names.map(async (name) => JSON.parse(await readFile(join(directory, name), 'utf8')) as ChaosResult));

function* figuresOf({ verdict, faults, calls, judged, ...rest }: ChaosResult): Generator<readonly [name: string, figure: number]> {
  yield [verdict, 1];
  const { seconds, killCount, hitWorkCount, startsOfControl, startsOfWorkers, looks, quietLooks, pausesWatched } = rest;
  yield* Object.entries({ seconds, killCount, hitWorkCount, startsOfControl, startsOfWorkers, looks, quietLooks, pausesWatched });
  for (const [name, { tookEffect }] of Object.entries(faults)) yield [name, tookEffect];
  for (const [name, count] of Object.entries(calls)) if (name.endsWith(':ok')) yield [`acknowledged ${name.slice(0, -3)}`, count];
  yield* Object.entries(judged);
}

const figures = new Map<string, number>();
for (const result of results) for (const [name, figure] of figuresOf(result)) figures.set(name, (figures.get(name) ?? 0) + figure);
for (const name of names) process.stdout.write(`${name}\n`);
for (const [name, figure] of figures) process.stdout.write(`${name}: ${Math.round(figure).toLocaleString('en')}\n`);
