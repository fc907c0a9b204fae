import fc from 'fast-check';
import { nodesArbitrary, worldArbitrary } from './arbitraries.ts';
import { playSchedule } from './schedule.ts';
import { Tally } from './tally.ts';

/** How much is simulated, and from where: seed and path are those a failure was reported with. */
export interface SimulationOptions {
  readonly scheduleCount: number;
  readonly seed: number;
  readonly path?: string | undefined;
}

/** What a simulation came to; `failure` has the command that replays it. */
export interface SimulationResult {
  readonly tally: Tally;
  readonly failure: string | undefined;
}

// Each workflow is played in so many worlds: making workflows costs more than playing them.
const worldsPerWorkflow = 4;
/** From so many schedules on, everything must have taken effect, and as often as `leastEffectCount`. */
const enoughSchedules = 10_000;
const leastEffectCount = 500;

/** Plays random workflows in random worlds; one that breaks an invariant is made smaller before it is told. */
export function simulate({ scheduleCount, seed, path }: SimulationOptions): SimulationResult {
  const tally = new Tally();
  const worlds = fc.array(worldArbitrary, { minLength: worldsPerWorkflow, maxLength: worldsPerWorkflow });
  const property = fc.property(nodesArbitrary, worlds, (nodes, each) => {
    for (const world of each) playSchedule({ nodes, world, tally });
  });
  const numRuns = Math.ceil(scheduleCount / worldsPerWorkflow);
  const details = fc.check(property, { numRuns, seed, ...(path !== undefined && { path }) });
  if (details.failed) {
    const replay = `npm run test:sim -- --schedules ${scheduleCount} --seed ${seed} --path ${details.counterexamplePath}`;
    const fault = details.errorInstance instanceof Error ? details.errorInstance.stack : String(details.errorInstance);
    return { tally, failure: `${fault}\n\n${fc.defaultReportMessage(details)}\n\nplay it again: ${replay}` };
  }
  const isWhole = path === undefined && scheduleCount >= enoughSchedules;
  const rare = isWhole ? tally.below(leastEffectCount) : [];
  return { tally, failure: rare.length === 0 ? undefined : `took effect less than ${leastEffectCount} times:\n${rare.join('\n')}` };
}
