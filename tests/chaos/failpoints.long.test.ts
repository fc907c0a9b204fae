// @module-tag needs-bwrap
import { describe, expect, test } from 'vitest';
import { killEverywhere } from './failpoints/exhaustive.ts';
import { failpoints, textOf } from './failpoints/points.ts';

describe('a process killed before and after each commit, answer and call of the core path', () => {
  test('leaves every run to end right, at each of the places once', { timeout: 900_000 }, async () => {
    const { hit, notHit, unfinished, judgement } = await killEverywhere(() => {});
    expect({ notHit, unfinished, findings: judgement.findings }).toEqual({ notHit: [], unfinished: [], findings: [] });
    expect(hit).toEqual(failpoints.map(textOf));
    expect(judgement.runs).toBe(4 * failpoints.length);
  });
});
