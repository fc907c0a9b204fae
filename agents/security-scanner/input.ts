import { acceptRepositoryPath } from '@hivekeeper/sdk';
import { z } from 'zod';
import { severities } from './finding.ts';

/** `scanType` of one kind gives that kind only; the dangers without a kind of their own come with `all`. */
export const scanInputSchema = z.preprocess(
  acceptRepositoryPath,
  z.object({
    target: z.string('a path is needed').min(1),
    scanType: z.enum(['secrets', 'sql-injection', 'xss', 'dependencies', 'all']).default('all'),
    /** The least severity to report. */
    severity: z.enum(severities).optional(),
  }),
);
export type ScanInput = z.infer<typeof scanInputSchema>;
