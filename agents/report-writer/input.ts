import { z } from 'zod';

/** From the worst to the least; the order of the report. */
export const severities = ['critical', 'high', 'medium', 'low', 'info'] as const;
/** One of {@link severities}. */
export type Severity = (typeof severities)[number];

const findingSchema = z.object({
  id: z.string(),
  source: z.string(),
  rule: z.string(),
  severity: z.enum(severities),
  file: z.string(),
  line: z.int().min(1).optional(),
  message: z.string(),
  code: z.string().optional(),
  remediation: z.string().optional(),
  alsoReportedBy: z.array(z.string()).default([]),
});

/** What is read of the triage agent's output; more may be there. */
const reviewSchema = z.object({
  verdict: z.enum(['clean', 'attention', 'critical']),
  findings: z.array(findingSchema),
  coverage: z.array(z.object({ source: z.string(), ran: z.boolean(), files: z.int().optional(), skipped: z.int().optional() })).default([]),
});

/** What to report, and where to. */
export const reportInputSchema = z.strictObject({
  review: reviewSchema,
  /** Only named in the report, never read. */
  target: z.string().optional(),
  repositoryPath: z.string().optional(),
  outputDirectory: z.string().min(1).max(4_096),
  title: z.string().min(1).max(200).optional(),
  /** Shown as it is: `id`, `startedAt`, and whatever else is a text, a number or a boolean. */
  run: z.record(z.string(), z.unknown()).optional(),
});

/** One finding as triage gives it. */
export type Finding = z.infer<typeof findingSchema>;
/** {@link reportInputSchema}, with its defaults filled in. */
export type ReportInput = z.infer<typeof reportInputSchema>;
