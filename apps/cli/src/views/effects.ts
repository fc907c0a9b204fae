import type { EffectCounts, EffectState, EffectView } from '@hivekeeper/contract';
import type { Colors, Output } from '../output.ts';
import { tableText } from './table.ts';
import { agoText, cutText } from './words.ts';

/** Effects, one a line. */
export const effectsTable = (effects: readonly EffectView[], nowMs: number, { colors, widthColumns }: Output): string =>
  tableText(
    ['EFFECT', 'NODE', 'TOOL', 'STATE', 'BEGUN', 'WITH', 'GAVE'],
    effects.map((effect) => [
      effect.id,
      effect.slot === 0 ? effect.nodeId : `${effect.nodeId}[${effect.slot}]`,
      effect.tool,
      stateText(effect.state, colors),
      agoText(effect.begunAtMs, nowMs),
      cutText(JSON.stringify(effect.args), widthColumns / 4),
      cutText(outcomeText(effect), widthColumns / 4),
    ]),
    colors,
  );

/** An effect, whole. */
export function effectText(effect: EffectView, { colors, widthColumns }: Output): string {
  const time = (atMs: number) => new Date(atMs).toISOString();
  const facts: (readonly [string, string | undefined])[] = [
    ['run', effect.runId],
    ['node', `${effect.nodeId}, slot ${effect.slot}, step ${effect.step}`],
    ['tool', effect.tool],
    ['with', cutText(JSON.stringify(effect.args), widthColumns * 4)],
    ['begun', time(effect.begunAtMs)],
    [
      'told',
      effect.dispatchedAtMs === undefined
        ? undefined
        : `${time(effect.dispatchedAtMs)} to ${effect.workerId} (${timesText(effect.dispatchCount)})`,
    ],
    ['ended', effect.endedAtMs === undefined ? undefined : time(effect.endedAtMs)],
    ['gave', effect.outcome === undefined ? undefined : cutText(outcomeText(effect), widthColumns * 4)],
    ['because', effect.reason],
    [
      'said by',
      effect.resolvedBy === undefined ? undefined : `${effect.resolvedBy}${effect.notes === undefined ? '' : `: ${effect.notes}`}`,
    ],
  ];
  const lines = facts.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(9)}${value}`]));
  return [`${effect.id}  ${stateText(effect.state, colors)}`, ...lines].join('\n');
}

/** `2 confirmed, 1 unknown` */
export const countsText = (counts: EffectCounts): string =>
  Object.entries(counts)
    .map(([state, count]) => `${count} ${state}`)
    .join(', ');

const timesText = (count: number): string => (count === 1 ? 'once' : `${count} times`);

const outcomeText = ({ outcome, reason = '' }: EffectView): string => {
  if (outcome === undefined) return reason;
  return outcome.ok ? JSON.stringify(outcome.output) : `${outcome.error.code}: ${outcome.error.message}`;
};

function stateText(state: EffectState, colors: Colors): string {
  if (state === 'confirmed') return colors.green(state);
  if (state === 'unknown') return colors.red(state);
  return state === 'dispatched' ? colors.cyan(state) : colors.dim(state);
}
