// @module-tag needs-bwrap
import { expect, test } from 'vitest';
import { runChaos } from './harness/chaos.ts';

const settings = {
  ...{ kills: 200, seed: 20_261_126, mostMs: Number.POSITIVE_INFINITY, isUnfenced: false },
  ...{ runsAtOnce: 40, mostPauseMs: 60, ebbAfterMs: 0 },
};

// `npm run test:chaos -- --kills 10000` is the same for longer; with --unfenced it is red.
test(
  'a mixed load keeps every promise while 200 processes are killed, others stopped, and the network is cut',
  { timeout: 400_000 },
  async () => {
    const { verdict, broken, examples, tooLittle, killCount, judged } = await runChaos(settings, () => {});
    process.stdout.write(`${killCount} kills, seed ${settings.seed}: ${JSON.stringify(judged)}\n`);
    expect({ verdict, broken, examples, tooLittle }).toEqual({ verdict: 'held', broken: {}, examples: [], tooLittle: [] });
  },
);
