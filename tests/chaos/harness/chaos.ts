import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { seededRandom } from '@hivekeeper/testkit';
import postgres from 'postgres';
import { temporaryDirectory } from '../../stack/stack.ts';
import { type FaultCounts, FaultInjector } from './faults.ts';
import { type Fleet, startFleet } from './fleet.ts';
import { Journal } from './journal.ts';
import { type Judgement, judge } from './judge/index.ts';
import { Load } from './load.ts';
import { drawSchedule } from './schedule.ts';
import { type ChaosSettings, quietAfterMs } from './settings.ts';
import { unfence } from './unfenced.ts';
import { type Sightings, Watch } from './watch.ts';

/** What one chaos run came to. */
export interface ChaosResult {
  readonly verdict: 'held' | 'broken' | 'proves nothing';
  /** Promises that were broken, with how often. */
  readonly broken: Readonly<Record<string, number>>;
  readonly examples: readonly string[];
  /** Where too little happened for the verdict to mean anything. */
  readonly tooLittle: readonly string[];
  readonly settings: ChaosSettings;
  readonly seconds: number;
  readonly killCount: number;
  readonly faults: FaultCounts;
  /** Calls by what their clients were told. */
  readonly calls: Readonly<Record<string, number>>;
  readonly judged: Omit<Judgement, 'findings'>;
  /** Kills that met agents at work: see {@link FaultCounts}. */
  readonly hitWorkCount: number;
  readonly pausesWatched: number;
  readonly looks: number;
  readonly quietLooks: number;
  readonly startsOfControl: number;
  readonly startsOfWorkers: number;
  /** Of some of the runs in which a promise was broken, to find out why. */
  readonly journals?: Readonly<Record<string, unknown>>;
  readonly machine: { readonly node: string; readonly cores: number; readonly load: number };
}

// Per kill.
const leastKillRatios = { agent: 0.5, worker: 0.1, control: 0.025, postgres: 0.025 } as const;
const leastCallRatios = {
  start: 0.3,
  cancel: 0.02,
  decide: 0.02,
  retry: 0.01,
  signal: 0.1,
  pause: 0.02,
  resume: 0.02,
  resolve: 0.001,
} as const;

const settleLimitMs = { fenced: 120_000, unfenced: 15_000 };
// Of quiet looks, at least one.
const lullMs = 1_500;
// Of the kills of each target, so many at least must have met work.
const leastHitWorkRatio = 0.8;
// Runs to a kill; and how many runs may be owed, how long.
const leastEndedRatio = 0.5;
const pace = { slack: 20, patienceMs: 10_000 };
// Of all runs, so many may end because their leases were lost too often.
const mostLostTooOftenRatio = 0.05;

/** Runs the load under the faults that the seed draws, waits until everything has ended, and judges. */
export async function runChaos(settings: ChaosSettings, say: (line: string) => void): Promise<ChaosResult> {
  const beganMs = performance.now();
  await using directory = await temporaryDirectory('chaos');
  await using fleet = await startFleet(directory.path);
  const sql = postgres(fleet.sqlUrl, { max: 2, connect_timeout: 2, onnotice: () => {} });
  const watch = new Watch(fleet.sqlUrl);
  try {
    if (settings.isUnfenced) await unfence(sql);
    using journal = new Journal(join(directory.path, 'journal'));
    const { seed, runsAtOnce, isUnfenced } = settings;
    const load = new Load({ fleet, journal, random: seededRandom(seed + 1), sql, runsAtOnce, hasLedger: !isUnfenced });
    await load.begin();
    say(`${seconds(beganMs)} s: everything runs`);
    const injector = new FaultInjector(fleet);
    await injectAll({ injector, load, settings, say });
    say(`${seconds(beganMs)} s: no more faults`);
    watch.quiet();
    const lull = pause(quietAfterMs + lullMs);
    await pause(settings.ebbAfterMs);
    await load.ebb();
    await settled(sql, load, settings.isUnfenced ? settleLimitMs.unfenced : settleLimitMs.fenced);
    await lull;
    await load.end();
    say(`${seconds(beganMs)} s: everything has ended`);
    const judgement = await judge(sql, { executions: fleet.executions, entries: journal.entries });
    const sightings = await watch.end();
    const journals = settings.isUnfenced ? undefined : await journalsOf(sql, judgement);
    return resultOf({ settings, journals, seconds: seconds(beganMs), injector, journal, judgement, sightings, load, fleet });
  } finally {
    await watch.end();
    await sql.end({ timeout: 1 });
  }
}

const seconds = (sinceMs: number): number => Math.round((performance.now() - sinceMs) / 100) / 10;

interface Injection {
  readonly injector: FaultInjector;
  readonly load: Load;
  readonly settings: ChaosSettings;
  readonly say: (line: string) => void;
}

async function injectAll({ injector, load, settings, say }: Injection): Promise<void> {
  const { seed, kills, mostMs } = settings;
  const schedule = drawSchedule(seededRandom(seed), settings);
  const endMs = performance.now() + mostMs;
  let saidAt = 0;
  // More than asked for where some took no effect: a second schedule from the next seed, and so on.
  for (let round = 0; injector.killCount < kills && performance.now() < endMs && round < 3; round += 1) {
    const faults =
      round === 0 ? schedule : drawSchedule(seededRandom(seed + 1_000 * round), { ...settings, kills: kills - injector.killCount });
    for (const fault of faults) {
      if (performance.now() >= endMs) break;
      await pause(fault.pauseMs);
      await keepPace(injector, load);
      await injector.inject(fault);
      if (injector.killCount < saidAt + 100) continue;
      saidAt = injector.killCount;
      say(`${saidAt} of ${kills} kills`);
    }
  }
  await injector.over();
}

/** Resolves when enough runs have ended for the kills there were: on a machine that is slow, work would be killed as fast as it is begun. */
async function keepPace(injector: FaultInjector, load: Load): Promise<void> {
  const wanted = Math.floor(injector.killCount * leastEndedRatio) - pace.slack;
  for (const endMs = performance.now() + pace.patienceMs; load.endedCount < wanted && performance.now() < endMs;) await pause(20);
}

/** Resolves when every run has ended and no other can begin, or after a while: what is unfinished then is found. */
async function settled(sql: postgres.Sql, load: Load, limitMs: number): Promise<void> {
  for (const endMs = performance.now() + limitMs; performance.now() < endMs; await pause(200)) {
    const [row] = await sql<{ count: number }[]>`SELECT count(*)::integer AS count FROM runs WHERE finished_at IS NULL`.catch(() => []);
    if (row?.count === 0 && load.isIdle) return;
  }
}

/** The journals of the first runs that findings name, where any does. */
async function journalsOf(sql: postgres.Sql, { findings }: Judgement): Promise<Facts['journals']> {
  const runIds = new Set(findings.flatMap(({ detail }) => /run_[0-9A-Z]{26}/.exec(detail)?.[0] ?? []));
  if (runIds.size === 0) return undefined;
  const rows = await sql<{ run_id: string; events: unknown }[]>`
    SELECT run_id, events FROM run_journal WHERE run_id = ANY (${[...runIds].slice(0, 5)}) ORDER BY run_id, version`;
  return Object.fromEntries(Map.groupBy(rows, ({ run_id }) => run_id));
}

interface Facts {
  readonly journals: Readonly<Record<string, unknown>> | undefined;
  readonly settings: ChaosSettings;
  readonly seconds: number;
  readonly injector: FaultInjector;
  readonly journal: Journal;
  readonly judgement: Judgement;
  readonly sightings: Sightings;
  readonly load: Load;
  readonly fleet: Fleet;
}

function resultOf(facts: Facts): ChaosResult {
  const { settings, seconds, injector, journal, judgement, sightings, fleet, load } = facts;
  const { findings, ...judged } = judgement;
  const all = [...findings, ...findingsOf(facts)];
  const byPromise = Map.groupBy(all, ({ promise }) => promise);
  const calls = Map.groupBy(journal.entries, ({ call, outcome, code }) => [call, outcome, ...(code === undefined ? [] : [code])].join(':'));
  const tooLittle = missingIn(facts);
  return {
    verdict: all.length > 0 ? 'broken' : tooLittle.length > 0 ? 'proves nothing' : 'held',
    broken: Object.fromEntries([...byPromise].map(([promise, found]) => [promise, found.length])),
    examples: [...byPromise.values()].flatMap((found) => found.slice(0, 2).map(({ promise, detail }) => `${promise}: ${detail}`)),
    tooLittle,
    settings,
    seconds,
    killCount: injector.killCount,
    faults: injector.counts,
    calls: Object.fromEntries([...calls].map(([name, { length }]) => [name, length] as const).sort()),
    judged,
    hitWorkCount: injector.tally('kill:').hitWork,
    pausesWatched: load.pauses.watched,
    looks: sightings.looks,
    quietLooks: sightings.quietLooks,
    startsOfControl: fleet.planes.reduce((sum, { process }) => sum + process.startCount, 0),
    startsOfWorkers: fleet.workers.reduce((sum, { startCount }) => sum + startCount, 0),
    ...(facts.journals !== undefined && { journals: facts.journals }),
    machine: { node: process.version, cores: cpus().length, load: Math.round((loadavg()[0] ?? 0) * 10) / 10 },
  };
}

/** What was seen besides what the checker reads at the end. */
const findingsOf = ({ sightings, load }: Facts) => [
  ...sightings.orphans.map((detail) => ({ promise: 'no run is without something that will move it', detail })),
  ...sightings.overdue.map((detail) => ({ promise: 'nothing stays due when it is quiet', detail })),
  ...load.pauses.broken.map((detail) => ({ promise: 'nothing of a paused run is handed out', detail })),
  ...sightings.unbalanced.map((detail) => ({ promise: 'what was accepted has ended or is in flight', detail })),
  ...load.internalErrors.map((detail) => ({ promise: 'no fault from outside is answered with a 500', detail })),
];

/** Rules of evidence: below these, nothing was proved. What clients did grows with the kills. */
function missingIn({ settings, seconds, injector, journal, judgement, sightings, load }: Facts): readonly string[] {
  const { kills, mostMs } = settings;
  const wantedKills = Number.isFinite(mostMs) ? injector.killCount : kills;
  const acknowledged = Map.groupBy(
    journal.entries.filter(({ outcome }) => outcome === 'ok'),
    ({ call }) => call,
  );
  const shareOf = (ratio: number) => Math.floor(wantedKills * ratio);
  const least: readonly (readonly [what: string, count: number, least: number])[] = [
    ['kills', injector.killCount, wantedKills],
    ...(['agent', 'worker', 'control', 'postgres'] as const).flatMap((target) => {
      const { tookEffect, hitWork = 0 } = injector.tally(`kill:${target}`);
      return [
        [`kills of ${target}`, tookEffect, shareOf(leastKillRatios[target])],
        [`kills of ${target} that met work`, hitWork, Math.max(1, tookEffect * leastHitWorkRatio)],
      ] as const;
    }),
    ['stopped and continued', injector.tally('stop:').tookEffect, shareOf(0.005)],
    ['network faults', injector.tally('net:').tookEffect, shareOf(0.01)],
    ...Object.entries(leastCallRatios).map(
      ([call, ratio]) => [`acknowledged ${call}`, acknowledged.get(call as 'start')?.length ?? 0, shareOf(ratio)] as const,
    ),
    ['results', judgement.results, wantedKills / 2],
    ['lost leases', judgement.lostLeases, shareOf(0.05)],
    ['payments', judgement.payments, shareOf(0.05)],
    ['payments met under way', judgement.paymentsMet, shareOf(0.005)],
    ['signals taken', judgement.signalsTaken, shareOf(0.05)],
    ['firings of the schedule', judgement.firings, seconds / 10],
    ['nodes carried over', judgement.carriedNodes, shareOf(0.005)],
    ['pauses in which work waited', load.pauses.watched, shareOf(0.005)],
    ['looks for stuck runs', sightings.looks, seconds / 3],
    ['looks when it was quiet', sightings.quietLooks, 1],
  ];
  const tooMany = judgement.lostTooOften > judgement.runs * mostLostTooOftenRatio;
  return [
    ...least.flatMap(([what, count, wanted]) => (count >= wanted ? [] : [`${what}: ${count}, at least ${Math.ceil(wanted)} are needed`])),
    ...(tooMany ? [`${judgement.lostTooOften} of ${judgement.runs} runs ended because leases were lost too often`] : []),
  ];
}
