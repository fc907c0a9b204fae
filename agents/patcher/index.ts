/*
 * Changes one file of a repository (`apply`), or shows what it would change (`preview`).
 *
 * input.ts  what it takes · edit.ts  the new text from the old one (pure) · confine.ts  which file that is, and whether
 * it may be touched · describe.ts  diffs · patch.ts  reading, writing and the answer
 */
import { runAgent } from '@hivekeeper/sdk';
import { isDryRun, patchInputSchema } from './input.ts';
import { patch } from './patch.ts';

await runAgent(patchInputSchema, (input, { action }) => patch({ ...input, dryRun: isDryRun(action, input.dryRun) }));
