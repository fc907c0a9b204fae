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
  return [...byFile.values()].flatMap(mergeInFile);
}

/** Whole-file reports come last, so that they find the lines they could join. */
const lineFirst = (reports: readonly Report[]): Report[] =>
  [...reports].sort((a, b) => Number(a.line === undefined) - Number(b.line === undefined));

/** Looks twins up by key: a generated file may have findings by the ten thousand. */
function mergeInFile(reports: readonly Report[]): MergedReport[] {
  const merged: MergedReport[] = [];
  const indexByKey = new Map<string, number>();
  for (const report of reports) {
    const keys = keysOf(report);
    const index = keys.map((key) => indexByKey.get(key) ?? -1).find((candidate) => isSame(merged[candidate], report)) ?? merged.length;
    merged[index] = union(merged[index], report);
    for (const key of keys) if (!indexByKey.has(key)) indexByKey.set(key, index);
  }
  return merged;
}

/** Under which a report is found again: as a whole, as its kind on its line, as its kind anywhere in the file. */
const keysOf = ({ source, rule, line, message }: Report): string[] =>
  [[source, rule, line ?? null, message], [familyOf(rule), line ?? null], [familyOf(rule)]].map((parts) => JSON.stringify(parts));

function isSame(a: Report | undefined, b: Report): boolean {
  if (a === undefined) return false;
  if (a.source === b.source) return a.rule === b.rule && a.line === b.line && a.message === b.message;
  return familyOf(a.rule) === familyOf(b.rule) && (a.line === b.line || b.line === undefined);
}

function familyOf(rule: string): string {
  const words = rule
    .replaceAll(/([a-z])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-');
  return families.find(([, pattern]) => pattern.test(words))?.[0] ?? words;
}

function union(first: MergedReport | undefined, second: Report): MergedReport {
  if (first === undefined) return second;
  const others = new Set([...(first.alsoReportedBy ?? []), second.source]);
  others.delete(first.source);
  return {
    ...second,
    ...first,
    severity: severities[Math.min(severities.indexOf(first.severity), severities.indexOf(second.severity))] ?? first.severity,
    ...(others.size > 0 && { alsoReportedBy: [...others] }),
  };
}
