import { acceptRepositoryPath } from '@hivekeeper/sdk';
import { z } from 'zod';

/** What to check, and how strictly. */
export const checkInputSchema = z.preprocess(
  acceptRepositoryPath,
  z.strictObject({
    target: z.string().min(1).max(4_096).default('/workspace'),
    repositoryPath: z.string().optional(),
    scope: z.enum(['licenses', 'security-headers', 'secrets', 'all']).default('all'),
    /** Judges development dependencies like those that ship, and lets warnings fail the check. */
    strictMode: z.boolean().default(false),
  }),
);

/** {@link checkInputSchema}, with its defaults filled in. */
export type CheckInput = z.infer<typeof checkInputSchema>;
