/* `npm run bench`: measures Hivekeeper beside its ceiling and its peers, on one machine in one run. See README.md. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runChild } from './harness/child.ts';
import { describeMachine, othersCpuShare } from './harness/machine.ts';
import { renderMarkdown } from './harness/markdown.ts';
import type { EngineRound } from './harness/measure-engine.ts';
import { installPeers } from './harness/peers-install.ts';
import { medianOf, type Results, type Row } from './harness/results.ts';
import { median } from './harness/statistics.ts';
import { listPrograms, type Program } from './programs.ts';

interface Options {
  readonly programs: readonly Program[];
  readonly roundCount: number;
  readonly isQuick: boolean;
  readonly isPartial: boolean;
}

interface Collected {
  readonly rounds: unknown[];
  readonly failures: string[];
}

// No round begins after this: the whole run stays within a quarter of an hour.
const lastStartMs = 12 * 60_000;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
    },
  });
  const all = listPrograms({ isQuick: values.quick });
  const wanted = values.only?.split(',');
  const unknown = wanted?.filter((id) => !all.some((program) => program.id === id)) ?? [];
  const roundCount = Number(values.rounds ?? (values.quick ? 1 : 3));
  if (values.list || unknown.length > 0 || !(roundCount >= 1)) {
    say(`npm run bench -- [--only ${all.map(({ id }) => id).join(',')}] [--rounds N] [--quick]`);
    process.exit(unknown.length > 0 || !(roundCount >= 1) ? 2 : 0);
  }
  const programs = all.filter(({ id }) => wanted?.includes(id) ?? true);
  return { programs, roundCount, isQuick: values.quick, isPartial: values.quick || programs.length < all.length };
}

/** Everybody once per round, each round beginning with somebody else, so that a drift of the machine hits all alike. */
async function measureAll({
  programs,
  roundCount,
}: Options): Promise<{ collected: Map<string, Collected>; shares: number[]; roundsDone: number }> {
  const collected = new Map(programs.map(({ id }) => [id, { rounds: [], failures: [] } as Collected]));
  const peersFault = programs.some(({ isPeer }) => isPeer) ? await installPeers() : undefined;
  const shares: number[] = [];
  const startedAt = performance.now();
  let roundsDone = 0;
  while (roundsDone < roundCount && performance.now() - startedAt < lastStartMs) {
    for (const program of rotate(programs, roundsDone)) {
      shares.push(await othersCpuShare());
      await measureOnce(program, {
        into: collected.get(program.id),
        round: roundsDone + 1,
        fault: program.isPeer ? peersFault : undefined,
      });
    }
    roundsDone += 1;
  }
  return { collected, shares, roundsDone };
}

async function measureOnce(
  program: Program,
  { into, round, fault }: { into: Collected | undefined; round: number; fault: string | undefined },
): Promise<void> {
  const startedAt = performance.now();
  const result = fault === undefined ? await runChild<unknown>(program) : { ok: false as const, reason: fault };
  if (result.ok) into?.rounds.push(result.value);
  else into?.failures.push(`round ${round}: ${result.reason}`);
  say(
    `round ${round} ${program.id}: ${result.ok ? `${((performance.now() - startedAt) / 1_000).toFixed(1)} s` : `did not run: ${result.reason}`}`,
  );
}

const rotate = <T>(items: readonly T[], by: number): T[] => items.map((_, index) => items[(index + by) % items.length] as T);

function rowOf<T>({ rounds, failures }: Collected): Row<T> {
  const middle = medianOf(rounds as T[]);
  return { ...(middle !== undefined && { median: middle }), rounds: rounds as T[], failures };
}

const options = readOptions();
const [machine, startedAt, startMs] = [describeMachine(), new Date().toISOString(), performance.now()];
const { collected, shares, roundsDone } = await measureAll(options);
const rowsOf = (kind: Program['kind']) =>
  options.programs
    .filter((program) => program.kind === kind)
    .flatMap(({ id }) => (collected.has(id) ? [[id, rowOf(collected.get(id) as Collected)] as const] : []));
const results = {
  startedAt,
  durationSeconds: (performance.now() - startMs) / 1_000,
  roundCount: roundsDone,
  isQuick: options.isQuick,
  machine,
  othersCpuShare: { median: median(shares), most: Math.max(...shares) },
  engines: Object.fromEntries(rowsOf('engine')) as Record<string, Row<EngineRound>>,
  ...Object.fromEntries(options.programs.filter(({ kind }) => kind !== 'engine').flatMap(({ kind }) => rowsOf(kind))),
} as Results;
const directory = fileURLToPath(new URL('results/', import.meta.url));
mkdirSync(directory, { recursive: true });
// A part of the benchmarks, or a quick look, does not replace the last whole run.
const name = options.isPartial ? 'partial' : 'latest';
const markdown = renderMarkdown(results);
writeFileSync(`${directory}${name}.json`, `${JSON.stringify(results, null, 2)}\n`);
writeFileSync(`${directory}${name}.md`, markdown);
say(`\n${markdown}\nWritten to benchmarks/results/${name}.md and .json`);
