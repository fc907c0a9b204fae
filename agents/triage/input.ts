import { z } from 'zod';

const lineSchema = z.int().min(0).optional().catch(undefined);
const skippedSchema = z.object({ skipped: z.int().optional() }).optional();

/** What is read of the security scanner's output; more may be there. */
const securitySchema = z.object({
  findings: z.array(
    z.object({
      type: z.string(),
      severity: z.enum(['critical', 'high', 'medium', 'low']),
      file: z.string(),
      line: lineSchema,
      description: z.string(),
      code: z.string().optional(),
    }),
  ),
  scannedFiles: z.int().optional(),
  summary: skippedSchema,
});

/** What is read of the code reviewer's output. */
const reviewSchema = z.object({
  issues: z.array(
    z.object({
      type: z.string(),
      severity: z.enum(['error', 'warning', 'info']),
      file: z.string(),
      line: lineSchema,
      rule: z.string().optional(),
      description: z.string(),
      suggestion: z.string().optional(),
    }),
  ),
  summary: z.object({ filesReviewed: z.int().optional(), skipped: z.int().optional() }).optional(),
});

/** What is read of the compliance checker's output. */
const complianceSchema = z.object({
  violations: z.array(
    z.object({
      rule: z.string(),
      severity: z.enum(['critical', 'warning', 'info']),
      file: z.string(),
      line: lineSchema,
      message: z.string(),
      remediation: z.string().optional(),
    }),
  ),
  checkedFiles: z.int().optional(),
  summary: skippedSchema,
});

/** The outputs of the three scanners. One that did not run is null or left out; at least one must have run. */
export const triageInputSchema = z
  .strictObject({
    security: securitySchema.nullish(),
    review: reviewSchema.nullish(),
    compliance: complianceSchema.nullish(),
  })
  .refine(
    ({ security, review, compliance }) => security ?? review ?? compliance,
    'there is nothing to triage: give security, review or compliance',
  );

/** {@link triageInputSchema}, parsed. */
export type TriageInput = z.infer<typeof triageInputSchema>;
