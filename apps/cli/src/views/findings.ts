import type { JsonValue, RunView } from '@hivekeeper/contract';
import type { Colors } from '../output.ts';
import { cutText } from './words.ts';

const severities = ['critical', 'high', 'medium', 'low', 'info'] as const;
type Severity = (typeof severities)[number];

/** One thing a review found. */
export interface Finding {
  readonly severity: Severity;
  readonly file: string;
  readonly line?: number;
  readonly rule: string;
  readonly message: string;
}

/** What a review run came to. */
export interface Review {
  readonly findings: readonly Finding[];
  /** Absolute paths of the written report. */
  readonly reports: readonly string[];
}

const outputOf = (run: RunView, nodeId: string): Readonly<Record<string, JsonValue>> => {
  const output = run.nodes.find(({ id }) => id === nodeId)?.output;
  return typeof output === 'object' && output !== null && !Array.isArray(output) ? (output as Readonly<Record<string, JsonValue>>) : {};
};

/** Reads the outputs of the nodes `triage` and `report` of the shipped workflow repo-review. */
export function reviewOf(run: RunView): Review {
  const { findings } = outputOf(run, 'triage');
  const { markdownPath, htmlPath } = outputOf(run, 'report');
  return {
    findings: Array.isArray(findings) ? (findings as unknown as Finding[]) : [],
    reports: [markdownPath, htmlPath].filter((path) => typeof path === 'string'),
  };
}

/** Findings, worst first, the first `maxShown` in full and the rest counted. */
export function findingsText(
  findings: readonly Finding[],
  { colors, widthColumns, maxShown }: { readonly colors: Colors; readonly widthColumns: number; readonly maxShown: number },
): string {
  const bySeverity = severities.map((severity) => ({ severity, found: findings.filter((finding) => finding.severity === severity) }));
  const counts = bySeverity.filter(({ found }) => found.length > 0).map(({ severity, found }) => `${found.length} ${severity}`);
  if (counts.length === 0) return 'No findings.';
  const shown = bySeverity.flatMap(({ found }) => found).slice(0, maxShown);
  const lines = shown.map(({ severity, file, line, rule, message }) => {
    const place = line === undefined ? file : `${file}:${line}`;
    return `  ${paint(severity, colors)}  ${place}  ${colors.dim(rule)}\n${' '.repeat(12)}${cutText(message, Math.max(60, widthColumns - 14))}`;
  });
  const rest = findings.length - shown.length;
  const title = `${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}: ${counts.join(', ')}`;
  return [colors.bold(title), ...lines, ...(rest > 0 ? [`  and ${rest} more in the report`] : [])].join('\n');
}

function paint(severity: Severity, colors: Colors): string {
  const text = severity.padEnd(8);
  if (severity === 'critical' || severity === 'high') return colors.red(text);
  return severity === 'medium' ? colors.yellow(text) : colors.dim(text);
}
