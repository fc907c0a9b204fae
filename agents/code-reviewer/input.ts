import { acceptRepositoryPath } from '@hivekeeper/sdk';
import { z } from 'zod';
import { issueTypes } from './issue.ts';

export const reviewInputSchema = z.preprocess(
  acceptRepositoryPath,
  z.object({
    target: z.string('a path is needed').min(1),
    type: z.enum([...issueTypes, 'all']).default('all'),
    /** Which files to report on, as a glob below the target; without a slash it matches in every folder. */
    filePattern: z.string().min(1).max(1_000).optional(),
  }),
);
export type ReviewInput = z.infer<typeof reviewInputSchema>;
