/**
 * `npm run test:chaos [-- --kills N --seed S --minutes M --unfenced]`: the load, the faults, the checker. Prints the
 * result and writes it to tests/chaos/results/. Ends with 0 where every promise held, or, with --unfenced, where the
 * checker found that those were broken that need fences.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runChaos } from './harness/chaos.ts';
import { faultText, drawSchedule } from './harness/schedule.ts';
import { readSettings } from './harness/settings.ts';
import { brokenWithoutFences } from './harness/unfenced.ts';
import { seededRandom } from '@hivekeeper/testkit';

const print = (text: string) => process.stdout.write(`${text}\n`);
const settings = readSettings(process.argv.slice(2), () => Date.now() % 1_000_000);
const { kills, seed, isUnfenced } = settings;
print(`seed ${seed}: npm run test:chaos -- --kills ${kills} --seed ${seed}${isUnfenced ? ' --unfenced' : ''}`);
const drawn = Map.groupBy(drawSchedule(seededRandom(seed), settings), faultText);
print(
  `drawn: ${[...drawn]
    .map(([name, { length }]) => `${name} ${length}`)
    .sort()
    .join(', ')}`,
);

const result = await runChaos(settings, print);
const directory = join(import.meta.dirname, 'results');
await mkdir(directory, { recursive: true });
const file = join(directory, `${isUnfenced ? 'unfenced' : 'fenced'}-${kills}-${seed}.json`);
await writeFile(file, `${JSON.stringify(result, undefined, 2)}\n`);
print(JSON.stringify(result, undefined, 2));
const isAsItMustBe = isUnfenced ? brokenWithoutFences.every((promise) => promise in result.broken) : result.verdict === 'held';
if (isUnfenced) print(isAsItMustBe ? 'RED without fences, as it must be.' : 'NOT red without fences: the harness proves nothing.');
else
  print(
    `${result.verdict === 'held' ? 'HELD' : 'RED'}: ${result.killCount} kills, ${result.judged.runs} runs, ${result.judged.results} results.`,
  );
process.exitCode = isAsItMustBe ? 0 : 1;
