/**
 * Records what tests/replay/scenarios.ts tells, as this version of the product writes it: `node scripts/record-histories.ts`.
 * What was recorded once is never recorded again: it is the promise that old journals fold for ever.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { scenarios } from '../tests/replay/scenarios.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
const directory = fileURLToPath(new URL(`../tests/replay/histories/${version}/`, import.meta.url));
mkdirSync(directory, { recursive: true });
for (const [name, { about, record }] of Object.entries(scenarios)) {
  const file = `${directory}${name}.json`;
  if (existsSync(file)) continue;
  writeFileSync(file, `${JSON.stringify(record().history(version, about), undefined, 1)}\n`);
  process.stdout.write(`recorded ${file}\n`);
}
