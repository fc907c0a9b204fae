import type { TriageInput } from './input.ts';

/** From the worst to the least; the order of every list and sum. */
export const severities = ['critical', 'high', 'medium', 'low', 'info'] as const;
/** The scanners, in the order in which their wording wins where two report the same. */
export const sources = ['security', 'review', 'compliance'] as const;

/** One of {@link severities}. */
export type Severity = (typeof severities)[number];
/** One of {@link sources}. */
export type Source = (typeof sources)[number];

/** What a scanner reported, in the words that all three share. */
export interface Report {
  readonly source: Source;
  /** The scanner's rule, or its type where it names no rule. */
  readonly rule: string;
  readonly severity: Severity;
  /** Relative to the examined repository. */
  readonly file: string;
  readonly line?: number;
  readonly message: string;
  /** An excerpt; secrets in it are already hidden by the scanner. */
  readonly code?: string;
  readonly remediation?: string;
}

const reviewSeverities = { error: 'high', warning: 'medium', info: 'info' } as const;
const complianceSeverities = { critical: 'critical', warning: 'medium', info: 'info' } as const;

/** All that the scanners reported, in one vocabulary and as often as they reported it. */
export function reportsOf({ security, review, compliance }: TriageInput): Report[] {
  return [
    ...(security?.findings ?? []).map((finding) =>
      report({ ...finding, source: 'security', rule: finding.type, message: finding.description }),
    ),
    ...(review?.issues ?? []).map((issue) =>
      report({
        ...issue,
        source: 'review',
        rule: issue.rule ?? issue.type,
        severity: reviewSeverities[issue.severity],
        message: issue.description,
        remediation: issue.suggestion,
      }),
    ),
    ...(compliance?.violations ?? []).map((violation) =>
      report({ ...violation, source: 'compliance', severity: complianceSeverities[violation.severity] }),
    ),
  ];
}

interface Reported extends Omit<Report, 'line' | 'code' | 'remediation'> {
  readonly line?: number | undefined;
  readonly code?: string | undefined;
  readonly remediation?: string | undefined;
}

/** Picks the shared fields and leaves out what is absent. Scanners write line 0 where they mean the whole file. */
const report = ({ source, rule, severity, file, line, message, code, remediation }: Reported): Report => ({
  source,
  rule,
  severity,
  file,
  ...(line !== undefined && line > 0 && { line }),
  message,
  ...(code !== undefined && { code }),
  ...(remediation !== undefined && { remediation }),
});
