/*
 * Makes one list of what three scanners found.
 *
 * input.ts  what is read of the scanners' outputs · finding.ts  one vocabulary for all three
 * merge.ts  which reports mean the same · triage.ts  order, sums and verdict
 */
import { runAgent } from '@hivekeeper/sdk';
import { triageInputSchema } from './input.ts';
import { triage } from './triage.ts';

await runAgent(triageInputSchema, triage);
