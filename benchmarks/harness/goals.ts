import type { EngineRound } from './measure-engine.ts';
import type { Results } from './results.ts';

/** One bar that was set, and what was measured against it. */
export interface GoalVerdict {
  readonly measure: string;
  readonly measured: string;
  readonly beside: string;
  readonly goal: string;
  readonly isMet: boolean;
}

interface Bar {
  readonly measure: string;
  readonly value: number;
  readonly unit: string;
  readonly most: number;
  readonly beside: string;
}

const whole = (value: number): string => Math.round(value).toLocaleString('en-US');
const short = (value: number): string => (value >= 100 ? whole(value) : Number(value.toPrecision(3)).toString());

/** Holds what was measured against the bars; leaves out what was not measured. */
export const judge = (results: Results): readonly GoalVerdict[] => [...throughputVerdicts(results), ...barsOf(results).map(verdictOf)];

function throughputVerdicts({ engines, ceiling }: Results): GoalVerdict[] {
  const own = engines.hivekeeper?.median?.figures.w2StepsPerSecond;
  if (own === undefined) return [];
  const ratioTo = (other: number, least: number) => ({
    measured: `${whole(own)} steps/s = ${(own / other).toFixed(2)} ×`,
    isMet: own >= least * other,
  });
  const top =
    ceiling?.median === undefined ? undefined : Math.max(ceiling.median.oneConnectionPerSecond, ceiling.median.twoConnectionsPerSecond);
  const durable = peersOf(engines).filter((peer) => peer.isDurable);
  const measure = 'Durable throughput, 10 steps, 50 in parallel';
  const against = (peers: readonly EngineRound[], goal: string): GoalVerdict[] => {
    const best = peers.toSorted((a, b) => b.figures.w2StepsPerSecond - a.figures.w2StepsPerSecond)[0];
    if (best === undefined) return [];
    const other = best.figures.w2StepsPerSecond;
    return [{ measure, ...ratioTo(other, 2), beside: `${best.name}: ${whole(other)} steps/s`, goal }];
  };
  return [
    ...(top === undefined ? [] : [{ measure, ...ratioTo(top, 0.5), beside: `bare SQL: ${whole(top)} steps/s`, goal: '≥ 0.5 × bare SQL' }]),
    ...against(
      durable.filter((peer) => peer.kind === 'workflows'),
      '≥ 2 × the best durable workflow engine',
    ),
    ...against(
      durable.filter((peer) => peer.kind === 'jobs'),
      '≥ 2 × the best durable job queue',
    ),
  ];
}

const peersOf = (engines: Results['engines']): EngineRound[] =>
  Object.entries(engines).flatMap(([id, { median }]) => (id === 'hivekeeper' || median === undefined ? [] : [median]));

function barsOf({ engines, ceiling, scheduling, sandbox, stack }: Results): Bar[] {
  const own = engines.hivekeeper?.median?.figures;
  const bars: Bar[] = [];
  if (own !== undefined) {
    const bestOf = (key: 'w2AloneP50Ms' | 'w3P50Ms') => fastestPeer(engines, key);
    const bare = ceiling?.median === undefined ? '' : `bare SQL, ten commits: ${short(ceiling.median.tenStepsP50Ms)} ms; `;
    bars.push({
      measure: 'Ten steps, alone, p50',
      value: own.w2AloneP50Ms,
      unit: 'ms',
      most: 5,
      beside: `${bare}${bestOf('w2AloneP50Ms')}`,
    });
    bars.push({ measure: 'Fan-out 100 and join, alone, p50', value: own.w3P50Ms, unit: 'ms', most: 5, beside: bestOf('w3P50Ms') });
  }
  if (scheduling?.median !== undefined) {
    const { decisionP99Us, heapP99Us, workerCount, readyCount } = scheduling.median;
    bars.push({
      measure: `Scheduling decision, ${whole(workerCount)} workers, ${whole(readyCount)} tickets, p99`,
      value: decisionP99Us,
      unit: 'µs',
      most: 10,
      beside: `one heap pop and push: ${short(heapP99Us)} µs`,
    });
  }
  if (sandbox?.median !== undefined) {
    const { sandboxP50Ms, bareP50Ms, bubblewrapP50Ms } = sandbox.median;
    bars.push({
      measure: 'Sandbox: added to a command’s own time, p50',
      value: sandboxP50Ms - bareP50Ms,
      unit: 'ms',
      most: 20,
      beside: `bare bubblewrap adds ${short(bubblewrapP50Ms - bareP50Ms)} ms`,
    });
  }
  if (stack?.median !== undefined) {
    bars.push({
      measure: 'Cold start to /ready',
      value: stack.median.startMedianMs,
      unit: 'ms',
      most: 1_500,
      beside: `the first time, making the database: ${short(stack.median.firstStartMs)} ms`,
    });
    bars.push({
      measure: 'Whole stack idle (control plane, worker, database), PSS',
      value: stack.median.idlePssMebibytes,
      unit: 'MiB',
      most: 200,
      beside: '',
    });
  }
  return bars;
}

function fastestPeer(engines: Results['engines'], key: 'w2AloneP50Ms' | 'w3P50Ms'): string {
  const nameBest = (isDurable: boolean) =>
    peersOf(engines)
      .filter((peer) => peer.isDurable === isDurable)
      .toSorted((a, b) => a.figures[key] - b.figures[key])[0];
  return [nameBest(true), nameBest(false)]
    .flatMap((peer) => (peer === undefined ? [] : [`${peer.name}${peer.isDurable ? '' : ', not durable'}: ${short(peer.figures[key])} ms`]))
    .join('; ');
}

const verdictOf = ({ measure, value, unit, most, beside }: Bar): GoalVerdict => ({
  measure,
  measured: `${short(value)} ${unit}`,
  beside,
  goal: `≤ ${whole(most)} ${unit}`,
  isMet: value <= most,
});
