/* `npm run test:sim [-- --schedules N --seed S --path P]`: many random schedules of the run's state machine. */
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { simulate } from '../../apps/control/src/flow/runs/simulation/simulation.ts';

const { values } = parseArgs({
  options: { schedules: { type: 'string', default: '100000' }, seed: { type: 'string' }, path: { type: 'string' } },
});
const scheduleCount = Number(values.schedules);
const seed = Number(values.seed ?? randomInt(2 ** 31));
const { path } = values;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
if (!(scheduleCount >= 1) || !Number.isInteger(seed)) {
  say('npm run test:sim -- [--schedules N] [--seed S] [--path P]: N at least 1, S a whole number, P as a failure printed it');
  process.exit(2);
}

say(`${scheduleCount} schedules, seed ${seed}`);
const beganMs = performance.now();
const { tally, failure } = simulate({ scheduleCount, seed, path });
const seconds = ((performance.now() - beganMs) / 1_000).toFixed(1);
const lines = [
  `${tally.scheduleCount} schedules, ${tally.playCount} runs, ${tally.eventCount} events that were news; seed ${seed}; ${seconds} s`,
  tally.summary(),
];
for (const line of lines) say(line);
if (failure !== undefined) say(`\n${failure}`);
// What a whole run came to is kept beside this file.
const isWhole = path === undefined && scheduleCount >= 100_000;
if (failure === undefined && isWhole) {
  const file = fileURLToPath(new URL('results/latest.txt', import.meta.url));
  writeFileSync(file, `${lines.join('\n')}\nNode ${process.version}, ${process.platform} ${process.arch}\n`);
}
process.exitCode = failure === undefined ? 0 : 1;
