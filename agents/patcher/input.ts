import { acceptRepositoryPath } from '@hivekeeper/sdk';
import { z } from 'zod';

/**
 * One change to one file. Which of `changes` an operation reads:
 *
 * - `update-deps`, `dependency-update`: the dependency named by `oldValue` gets the range `version`;
 * - `security-patch`: as above where `version` is given, else as below;
 * - `simple-refactor`: every `oldValue` in `file` becomes `newValue`;
 * - `config-update`: as above, or `file` gets `content` (null deletes it).
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
    dryRun: z.boolean().default(true),
  }),
);

/** {@link patchInputSchema}, with its defaults filled in. */
export type PatchInput = z.infer<typeof patchInputSchema>;
/** What is to change; see {@link patchInputSchema}. */
export type Changes = PatchInput['changes'];
