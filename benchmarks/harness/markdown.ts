import { judge } from './goals.ts';
import type { EngineRound } from './measure-engine.ts';
import type { Results, Row } from './results.ts';

const whole = (value: number): string => Math.round(value).toLocaleString('en-US');
const short = (value: number): string => (value >= 100 ? whole(value) : value.toFixed(value >= 10 ? 1 : 2));
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

/** The results for people. */
export function renderMarkdown(results: Results): string {
  const sections = [machineOf(results), goalsOf(results), enginesOf(results), ceilingOf(results), partsOf(results), failuresOf(results)];
  return `# Benchmarks\n\n${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

function machineOf({ machine, startedAt, durationSeconds, roundCount, othersCpuShare, isQuick }: Results): string {
  const others = `Others used ${Math.round(othersCpuShare.median * 100)} % of the CPU before a measurement (median; at most ${Math.round(othersCpuShare.most * 100)} %).`;
  const warnings = [
    ...(othersCpuShare.median > 0.1 ? ['**The machine was busy: read the ratios, not the figures.**'] : []),
    ...(isQuick ? ['**A quick run, to see that everything works: its figures mean little.**'] : []),
  ];
  return [
    `${startedAt.slice(0, 10)} · ${machine.coreCount} cores, ${machine.cpuModel} · Linux ${machine.kernel} · ${whole(machine.memoryMebibytes)} MiB · Node ${machine.nodeVersion}`,
    `Medians of ${roundCount} interleaved rounds, ${whole(durationSeconds)} s in all. Load average at the start: ${machine.loadAverage.join(', ')}. ${others}`,
    ...warnings,
  ].join('\n\n');
}

function goalsOf(results: Results): string {
  const verdicts = judge(results);
  if (verdicts.length === 0) return '';
  return `## Against the goals\n\n${table(
    ['Measure', 'Hivekeeper', 'Beside it, in the same run', 'Goal', 'Met'],
    verdicts.map(({ measure, measured, beside, goal, isMet }) => [measure, measured, beside, goal, isMet ? 'yes' : '**no**']),
  )}`;
}

const engineHead = [
  'Engine',
  'One step ×100, runs/s',
  'Ten steps alone, p50 / p99 ms',
  'Ten steps ×50, steps/s',
  'Fan-out 100 + join, p50 / p99 ms',
  'PSS idle / loaded MiB',
  'Durable',
];

function enginesOf({ engines }: Results): string {
  const ran = Object.values(engines).flatMap(({ median }) => (median === undefined ? [] : [median]));
  if (ran.length === 0) return '';
  const rows = Object.entries(engines).map(([id, row]) =>
    row.median === undefined ? [id, didNotRun(row), '', '', '', '', ''] : engineCells(row.median),
  );
  const notes = ran.map(
    ({ name, version, durability, remark }) => `- **${name} ${version}**: ${durability}.${remark === undefined ? '' : ` ${remark}`}`,
  );
  const explanation =
    'Steps do nothing. Client and worker share one process with the engine’s library; servers are separate; everything shares the machine’s cores. ' +
    'PSS counts that process and its servers. A step counts when the engine says it is recorded; the step itself counts its calls, so none is claimed that did not run.';
  return `## Engines side by side\n\n${table(engineHead, rows)}\n\n${explanation}\n\n${notes.join('\n')}`;
}

function engineCells({ name, version, figures, isDurable, idlePssMebibytes, loadedPssMebibytes }: EngineRound): string[] {
  return [
    `${name} ${version}`,
    whole(figures.w1PerSecond),
    `${short(figures.w2AloneP50Ms)} / ${short(figures.w2AloneP99Ms)}`,
    whole(figures.w2StepsPerSecond),
    `${short(figures.w3P50Ms)} / ${short(figures.w3P99Ms)}`,
    `${whole(idlePssMebibytes)} / ${whole(loadedPssMebibytes)}`,
    isDurable ? 'yes' : 'no',
  ];
}

function ceilingOf({ ceiling }: Results): string {
  if (ceiling?.median === undefined) return '';
  const { oneConnectionPerSecond, twoConnectionsPerSecond, withIssuePerSecond, tenStepsP50Ms, tenStepsP99Ms, durability } = ceiling.median;
  const rows = [
    ['Batches of 50, one connection', `${whole(oneConnectionPerSecond)} steps/s`],
    ['Batches of 50, two connections', `${whole(twoConnectionsPerSecond)} steps/s`],
    ['Batches of 50, one connection, issuing the next ticket too', `${whole(withIssuePerSecond)} steps/s`],
    ['Ten steps one after another, a commit each, p50 / p99', `${short(tenStepsP50Ms)} / ${short(tenStepsP99Ms)} ms`],
  ];
  const explanation = `${durability}. Per step: claim with a new fencing token, fenced completion, outbox row, audit row, audit chain and head; one statement and one commit per batch.`;
  return `## The ceiling: bare SQL\n\n${table(['What', 'Figure'], rows)}\n\n${explanation}`;
}

function partsOf({ scheduling, sandbox, stack }: Results): string {
  const rows: string[][] = [];
  if (scheduling?.median !== undefined) {
    const { decisionP50Us, decisionP99Us, cycleP50Us, cycleP99Us, heapP50Us, heapP99Us, decisionCount } = scheduling.median;
    rows.push([`Scheduling decision, p50 / p99 of ${whole(decisionCount)}`, `${short(decisionP50Us)} / ${short(decisionP99Us)} µs`]);
    rows.push(['… with offering a ticket and returning a credit', `${short(cycleP50Us)} / ${short(cycleP99Us)} µs`]);
    rows.push(['… one heap pop and push alone', `${short(heapP50Us)} / ${short(heapP99Us)} µs`]);
  }
  if (sandbox?.median !== undefined) {
    const { bareP50Ms, bubblewrapP50Ms, sandboxP50Ms, sandboxP99Ms, bareNodeP50Ms, sandboxNodeP50Ms, mechanism, sampleCount } =
      sandbox.median;
    rows.push([
      `\`true\`: bare / bare bubblewrap / sandbox, p50 of ${sampleCount}`,
      `${short(bareP50Ms)} / ${short(bubblewrapP50Ms)} / ${short(sandboxP50Ms)} ms (p99 ${short(sandboxP99Ms)})`,
    ]);
    rows.push([`\`node -e 0\`: bare / sandbox (${mechanism}), p50`, `${short(bareNodeP50Ms)} / ${short(sandboxNodeP50Ms)} ms`]);
  }
  if (stack?.median !== undefined) {
    const { firstStartMs, startMedianMs, idlePssMebibytes } = stack.median;
    rows.push(['Start to /ready: first / again', `${whole(firstStartMs)} / ${whole(startMedianMs)} ms`]);
    rows.push(['Control plane, worker and database after 10 idle seconds, PSS', `${whole(idlePssMebibytes)} MiB`]);
  }
  return rows.length === 0 ? '' : `## Parts\n\n${table(['What', 'Figure'], rows)}`;
}

function failuresOf({ engines, ceiling, scheduling, sandbox, stack }: Results): string {
  const named: [string, Row<unknown> | undefined][] = [
    ...Object.entries(engines),
    ['ceiling', ceiling],
    ['scheduling', scheduling],
    ['sandbox', sandbox],
    ['stack', stack],
  ];
  const lines = named.flatMap(([id, row]) => (row === undefined ? [] : row.failures.map((failure) => `- ${id}: ${failure}`)));
  return lines.length === 0 ? '' : `## Did not run\n\n${lines.join('\n')}`;
}

const didNotRun = ({ failures }: Row<unknown>): string => `did not run: ${failures[0] ?? 'no round'}`;
