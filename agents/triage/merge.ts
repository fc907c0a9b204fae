import { type Report, type Source, severities } from './finding.ts';

/** One finding after merging. */
export interface MergedReport extends Report {
  /** Other scanners that found the same, if any. */
  readonly alsoReportedBy?: readonly Source[];
}

/** Words by which rules of different scanners are known to mean the same. */
const families: readonly (readonly [string, RegExp])[] = [
  ['secret', /secret|credential|password|token|api-?key|private-?key|env-file/],
  ['sql-injection', /sql/],
  ['xss', /xss|inner-?html|dangerously-?set/],
  ['code-execution', /\beval\b|code-(injection|execution)|new-func/],
  ['command-injection', /command|shell|child-?process/],
];

/**
 * Merges reports of the same thing: from one scanner, where they are equal; from two, where they mean the same kind of
 * fault on the same line, or one of them names the whole file. The first scanner's words stay; the worst severity wins.
 */
export function mergeReports(reports: readonly Report[]): MergedReport[] {
  const byFile = Map.groupBy(lineFirst(reports), ({ file }) => file);
  return [...byFile.values()].flatMap((inFile) => inFile.reduce(absorb, []));
}

/** Whole-file reports come last, so that they find the lines they could join. */
const lineFirst = (reports: readonly Report[]): Report[] => [...reports].sort((a, b) => Number(a.line === undefined) - Number(b.line === undefined));

function absorb(merged: MergedReport[], report: Report): MergedReport[] {
  const index = merged.findIndex((other) => isSame(other, report));
  const twin = merged[index];
  if (twin === undefined) merged.push(report);
  else merged[index] = union(twin, report);
  return merged;
}

function isSame(a: Report, b: Report): boolean {
  if (a.source === b.source) return a.rule === b.rule && a.line === b.line && a.message === b.message;
  return familyOf(a.rule) === familyOf(b.rule) && (a.line === b.line || b.line === undefined);
}

function familyOf(rule: string): string {
  const words = rule.replaceAll(/([a-z])([A-Z])/g, '$1-$2').toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return families.find(([, pattern]) => pattern.test(words))?.[0] ?? words;
}

function union(first: MergedReport, second: Report): MergedReport {
  const others = new Set([...(first.alsoReportedBy ?? []), second.source]);
  others.delete(first.source);
  return {
    ...second,
    ...first,
    severity: severities[Math.min(severities.indexOf(first.severity), severities.indexOf(second.severity))] ?? first.severity,
    ...(others.size > 0 && { alsoReportedBy: [...others] }),
  };
}
