import { createHash } from 'node:crypto';
import { type Severity, type Source, reportsOf, severities, sources } from './finding.ts';
import type { TriageInput } from './input.ts';
import { type MergedReport, mergeReports } from './merge.ts';

/** A merged report under an id that stays the same from run to run while the code around it moves. */
export interface Finding extends MergedReport {
  readonly id: string;
}

/** What the agent answers. */
export interface Triage {
  readonly verdict: 'clean' | 'attention' | 'critical';
  readonly summary: {
    readonly total: number;
    readonly bySeverity: Readonly<Record<Severity, number>>;
    readonly bySource: Readonly<Record<Source, number>>;
    readonly filesAffected: number;
  };
  /** Which scanners ran, over how many files, and how many places they could not look at, where they say. */
  readonly coverage: readonly { readonly source: Source; readonly ran: boolean; readonly files?: number; readonly skipped?: number }[];
  /** Sorted by severity, then file, then line. */
  readonly findings: readonly Finding[];
}

/** Merges what the scanners reported into one list and judges it. */
export function triage(input: TriageInput): Triage {
  const findings = identify(mergeReports(reportsOf(input)).sort(byUrgency));
  const coverage = coverageOf(input);
  return {
    verdict: verdictOf(
      findings,
      coverage.every(({ ran, skipped = 0 }) => ran && skipped === 0),
    ),
    summary: {
      total: findings.length,
      bySeverity: countBy(
        severities,
        findings.map(({ severity }) => severity),
      ),
      bySource: countBy(
        sources,
        findings.map(({ source }) => source),
      ),
      filesAffected: new Set(findings.map(({ file }) => file)).size,
    },
    coverage,
    findings,
  };
}

/** `clean` only where everybody looked everywhere: nothing found by who did not look is no good news. */
function verdictOf(findings: readonly Finding[], isComplete: boolean): Triage['verdict'] {
  if (findings.some(({ severity }) => severity === 'critical')) return 'critical';
  return isComplete && findings.every(({ severity }) => severity === 'info') ? 'clean' : 'attention';
}

function coverageOf({ security, review, compliance }: TriageInput): Triage['coverage'] {
  return [
    examined('security', security, { files: security?.scannedFiles, skipped: security?.summary?.skipped }),
    examined('review', review, { files: review?.summary?.filesReviewed, skipped: review?.summary?.skipped }),
    examined('compliance', compliance, { files: compliance?.checkedFiles, skipped: compliance?.summary?.skipped }),
  ];
}

const examined = (
  source: Source,
  output: object | null | undefined,
  { files, skipped = 0 }: { readonly files: number | undefined; readonly skipped: number | undefined },
): Triage['coverage'][number] => ({
  source,
  ran: (output ?? null) !== null,
  ...(files !== undefined && { files }),
  ...(skipped > 0 && { skipped }),
});

function byUrgency(a: MergedReport, b: MergedReport): number {
  return (
    severities.indexOf(a.severity) - severities.indexOf(b.severity) ||
    compareText(a.file, b.file) ||
    (a.line ?? 0) - (b.line ?? 0) ||
    compareText(a.rule, b.rule) ||
    compareText(a.message, b.message)
  );
}

/** By code unit: the same order on every machine, whatever its language. */
const compareText = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/** The line number is no part of the id; equal findings in one file are told apart by their order. */
function identify(reports: readonly MergedReport[]): Finding[] {
  const seen = new Map<string, number>();
  return reports.map((report) => {
    const key = JSON.stringify([report.source, report.rule, report.file, report.code ?? report.message]);
    const ordinal = seen.get(key) ?? 0;
    seen.set(key, ordinal + 1);
    return { id: createHash('sha256').update(`${key}#${ordinal}`).digest('hex').slice(0, 12), ...report };
  });
}

function countBy<Key extends string>(keys: readonly Key[], values: readonly Key[]): Record<Key, number> {
  const counts = Object.fromEntries(keys.map((key) => [key, 0])) as Record<Key, number>;
  for (const value of values) counts[value] += 1;
  return counts;
}
