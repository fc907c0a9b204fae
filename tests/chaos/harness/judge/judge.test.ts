import { appendFile } from 'node:fs/promises';
import type { RunId } from '@hivekeeper/contract';
import type postgres from 'postgres';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../stack/stack.ts';
import { openPayments } from '../payments.ts';
import { judgeEffects } from './effect-rules.ts';
import type { JudgedRun } from './evidence.ts';
import { judgeSchedule } from './schedule-rules.ts';

/** Answers one query after the other. */
const answering = (...answers: readonly object[][]): postgres.Sql => {
  const left = [...answers];
  return (async () => left.shift() ?? []) as never;
};
const run = (number: number, more: Partial<JudgedRun>) => ({ id: `run_${number}` as RunId, status: 'SUCCESS', ...more }) as JudgedRun;
const promisesIn = ({ findings }: { readonly findings: readonly { readonly promise: string }[] }) => [
  ...new Set(findings.map(({ promise }) => promise)),
];

describe('the judge of schedules', () => {
  const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second));
  const judged = (seconds: readonly number[], { outcome = 'STARTED', runs = seconds.length } = {}) =>
    judgeSchedule(
      answering(
        seconds.map((second, index) => ({ nominal_at: at(second), outcome, run_id: `run_${index}` })),
        [{ step_ms: 3_000 }],
      ),
      Array.from({ length: runs }, (_, index) => run(index, { trigger: 'schedule' })),
    );

  test('finds an instant without a firing, a firing without a run, a run without a firing, and one that did not start', async () => {
    expect(promisesIn(await judged([0, 3, 6]))).toEqual([]);
    const wrong = [await judged([0, 6]), await judged([0, 3], { runs: 1 }), await judged([0, 3], { runs: 3 })];
    for (const judgement of [...wrong, await judged([0, 3], { outcome: 'FAILED' })])
      expect(promisesIn(judgement)).toEqual(['each instant of a schedule is served once']);
  });
});

describe('the judge of effects', () => {
  const judged = async (lines: readonly string[], state = 'confirmed') => {
    await using directory = await temporaryDirectory('judge');
    await openPayments(directory.path);
    await appendFile(`${directory.path}/payments`, lines.map((line) => `${line}\n`).join(''));
    const ledger = [{ run_id: 'run_1', key: 'pays-1', state, dispatch_count: 1, resolved_by: null }];
    return await judgeEffects(answering(ledger), [run(1, { workflow: 'pays', key: 'pays-1' })], directory.path);
  };

  test('finds a payment that was made twice, one that is missing, one nobody asked for, and one that the ledger does not confirm', async () => {
    expect(promisesIn(await judged(['pays-1']))).toEqual([]);
    expect(promisesIn(await judged(['pays-1', 'pays-1']))).toEqual(['no effect happens twice']);
    expect(promisesIn(await judged([]))).toEqual(['no effect of a run that succeeded is missing']);
    expect(promisesIn(await judged(['pays-1', 'pays-2']))).toEqual(['every effect is on record']);
    expect(promisesIn(await judged(['pays-1'], 'unknown'))).toEqual(['the ledger tells what happened']);
  });
});
