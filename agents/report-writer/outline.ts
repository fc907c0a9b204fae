import { type Finding, type ReportInput, type Severity, severities } from './input.ts';

/** Findings of one rule and one severity. */
export interface RuleGroup {
  readonly rule: string;
  readonly findings: readonly Finding[];
  /** What is wrong, where there are several and it is the same for all of them. */
  readonly message?: string;
  /** What to do, likewise. */
  readonly remediation?: string;
}

/** Findings of one severity. */
export interface SeverityGroup {
  readonly severity: Severity;
  readonly count: number;
  readonly rules: readonly RuleGroup[];
}

/** What the report says, before it is Markdown or HTML. */
export interface Outline {
  readonly title: string;
  readonly verdict: ReportInput['review']['verdict'];
  /** The verdict in one sentence. */
  readonly conclusion: string;
  readonly counts: readonly { readonly severity: Severity; readonly count: number }[];
  readonly total: number;
  readonly groups: readonly SeverityGroup[];
  /** Files with the worst and most findings, at most {@link maxFiles}. */
  readonly files: readonly {
    readonly file: string;
    readonly counts: Readonly<Partial<Record<Severity, number>>>;
    readonly total: number;
  }[];
  readonly filesAffected: number;
  readonly facts: readonly (readonly [label: string, value: string])[];
}

/** How many files the list of the most affected ones has. */
export const maxFiles = 8;

/** Arranges the review for a reader: verdict, sums, the files to open first, then all findings, worst first. */
export function outlineOf(input: ReportInput, writtenAt: string): Outline {
  const { findings, verdict, coverage } = input.review;
  const repository = repositoryName(input);
  const bySeverity = Map.groupBy(findings, ({ severity }) => severity);
  const byFile = Map.groupBy(findings, ({ file }) => file);
  const missing = coverage.filter(({ ran }) => !ran).map(({ source }) => source);
  const hasGaps = coverage.some(({ skipped = 0 }) => skipped > 0);
  return {
    title: input.title ?? (repository === undefined ? 'Review' : `Review of ${repository}`),
    verdict,
    conclusion:
      conclude(findings, byFile.size) +
      (missing.length > 0 ? ` Not examined: ${missing.join(', ')}.` : '') +
      (hasGaps ? ' Some files could not be read.' : ''),
    counts: severities.map((severity) => ({ severity, count: bySeverity.get(severity)?.length ?? 0 })),
    total: findings.length,
    groups: severities.flatMap((severity) => groupOf(severity, bySeverity.get(severity) ?? [])),
    files: mostAffected(byFile),
    filesAffected: byFile.size,
    facts: [
      ...coverage.map((covered) => [covered.source, examined(covered)] as const),
      ...Object.entries(input.run ?? {}).flatMap(([name, value]) => (isScalar(value) ? [[`run ${name}`, String(value)] as const] : [])),
      ['written', writtenAt],
    ],
  };
}

/** The last part of the path; `/` and `.` name nothing. */
function repositoryName({ target, repositoryPath }: ReportInput): string | undefined {
  const parts = (target ?? repositoryPath ?? '').split(/[/\\]/).filter((part) => part !== '' && part !== '.');
  return parts.at(-1);
}

function conclude(findings: readonly Finding[], filesAffected: number): string {
  if (findings.length === 0) return 'Nothing was found.';
  const critical = findings.filter(({ severity }) => severity === 'critical').length;
  return `${amount(findings.length, 'finding')} in ${amount(filesAffected, 'file')}, ${critical === 0 ? 'none' : critical} of them critical.`;
}

/** "1 finding", "2 findings". */
export const amount = (count: number, noun: string): string => `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;

function examined({ ran, files, skipped = 0 }: ReportInput['review']['coverage'][number]): string {
  if (!ran) return 'did not run';
  return (files === undefined ? 'done' : amount(files, 'file')) + (skipped > 0 ? `, ${skipped.toLocaleString('en-US')} not readable` : '');
}

const isScalar = (value: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof value);

/** A rule that fires often comes as one block, the most frequent first, so that one decision settles many findings. */
function groupOf(severity: Severity, findings: readonly Finding[]): SeverityGroup[] {
  if (findings.length === 0) return [];
  const rules = [...Map.groupBy(findings, ({ rule }) => rule)].map(([rule, same]) => ({ rule, findings: same, ...sharedText(same) }));
  return [{ severity, count: findings.length, rules: rules.sort((a, b) => b.findings.length - a.findings.length) }];
}

function sharedText(findings: readonly Finding[]): Pick<RuleGroup, 'message' | 'remediation'> {
  const [first, second] = findings;
  if (first === undefined || second === undefined) return {};
  const isShared = (field: 'message' | 'remediation'): boolean => findings.every((finding) => finding[field] === first[field]);
  return {
    ...(isShared('message') && { message: first.message }),
    ...(first.remediation !== undefined && isShared('remediation') && { remediation: first.remediation }),
  };
}

function mostAffected(byFile: ReadonlyMap<string, readonly Finding[]>): Outline['files'] {
  const files = [...byFile].map(([file, findings]) => ({
    file,
    total: findings.length,
    counts: Object.fromEntries([...Map.groupBy(findings, ({ severity }) => severity)].map(([severity, same]) => [severity, same.length])),
  }));
  const countOf = (counts: Partial<Record<Severity, number>>, severity: Severity): number => counts[severity] ?? 0;
  return files
    .sort(
      (a, b) =>
        severities.map((severity) => countOf(b.counts, severity) - countOf(a.counts, severity)).find((difference) => difference !== 0) ?? 0,
    )
    .slice(0, maxFiles);
}
