import { HiveError } from '@hivekeeper/contract';
import { acceptRepositoryPath } from '@hivekeeper/sdk';
import { z } from 'zod';

/**
 * One change to one file. Which of `changes` an operation reads:
 *
 * - `update-deps`, `dependency-update`: the dependency named by `oldValue` gets the range `version`;
 * - `security-patch`: as above where `version` is given, else as below;
 * - `simple-refactor`: every `oldValue` in `file` becomes `newValue`;
 * - `config-update`: as above, or `file` gets `content` (null deletes it).
 *
 * `dryRun` counts where the node names no action; see {@link isDryRun}.
 */
export const patchInputSchema = z.preprocess(
  acceptRepositoryPath,
  z.strictObject({
    target: z.string().min(1).max(4_096).default('/workspace'),
    repositoryPath: z.string().optional(),
    operation: z.enum(['update-deps', 'dependency-update', 'security-patch', 'simple-refactor', 'config-update']).default('update-deps'),
    file: z.string().min(1).max(4_096).optional(),
    changes: z
      .strictObject({
        oldValue: z.string().min(1).optional(),
        newValue: z.string().optional(),
        version: z.string().min(1).max(200).optional(),
        content: z.string().nullable().optional(),
      })
      .default({}),
    dryRun: z.boolean().optional(),
  }),
);

/**
 * Whether the disk is left alone: as the action says (`preview`, `apply`), else as the input says, else yes.
 * @throws HiveError INVALID_REQUEST where the two contradict each other: the action alone decides whether a person was asked
 */
export function isDryRun(action: string | undefined, dryRun: boolean | undefined): boolean {
  const meant = action === 'preview' || action === 'apply' ? action === 'preview' : undefined;
  if (meant !== undefined && dryRun !== undefined && dryRun !== meant)
    throw new HiveError('INVALID_REQUEST', `the action is ${action}, but dryRun is ${dryRun}`);
  return meant ?? dryRun ?? true;
}

/** {@link patchInputSchema}, with its defaults filled in. */
export type PatchInput = z.infer<typeof patchInputSchema>;
/** What is to change; see {@link patchInputSchema}. */
export type Changes = PatchInput['changes'];
