import { describe, expect, test } from 'vitest';
import { runChaos } from './harness/chaos.ts';

const settings = { kills: 200, seed: 20_261_126, mostMs: Number.POSITIVE_INFINITY, isUnfenced: false, runsAtOnce: 60, mostPauseMs: 60 };

describe('a mixed load on two control planes', () => {
  // `npm run test:chaos -- --kills 10000` is the same for longer; with --unfenced it is red.
  test('keeps every promise while 200 processes are killed, others stopped, and the network is cut', { timeout: 600_000 }, async () => {
    const { verdict, broken, examples, tooLittle } = await runChaos(settings, () => {});
    expect({ verdict, broken, examples, tooLittle }).toEqual({ verdict: 'held', broken: {}, examples: [], tooLittle: [] });
  });
});
