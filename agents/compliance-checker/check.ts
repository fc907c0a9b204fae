import { performance } from 'node:perf_hooks';
import { type Skipped, listSourceTree, skippedIn } from '@hivekeeper/sdk/source-tree';
import type { CheckInput } from './input.ts';
import { licenseRules } from './licenses.ts';
import { secretRules } from './secrets.ts';
import { securityHeaderRules } from './security-headers.ts';
import { type RuleGroup, type Violation, subjectOf } from './violation.ts';

/** What the agent answers. */
export interface CheckResult {
  readonly violations: readonly Violation[];
  readonly summary: {
    readonly total: number;
    readonly critical: number;
    readonly warning: number;
    readonly info: number;
    /** Nothing critical, and in strict mode no warning either. */
    readonly passed: boolean;
    readonly skipped?: number;
  };
  readonly checkedFiles: number;
  readonly checkDurationMs: number;
  readonly rulesApplied: readonly string[];
  /** The first of what could not be looked at; `summary` counts all. */
  readonly skipped?: readonly Skipped[];
}

const groups: Readonly<Record<Exclude<CheckInput['scope'], 'all'>, RuleGroup>> = {
  licenses: licenseRules,
  'security-headers': securityHeaderRules,
  secrets: secretRules,
};

/**
 * Applies the rules of the scope to the target. A repository that does not pass is an answer, not an error.
 *
 * @throws NOT_FOUND where the target cannot be read.
 */
export async function check({ target, scope, strictMode }: CheckInput): Promise<CheckResult> {
  const startedAt = performance.now();
  const checked = new Set<string>();
  const tree = await listSourceTree(target);
  const subject = subjectOf(tree, strictMode, checked);
  const applied = scope === 'all' ? Object.values(groups) : [groups[scope]];
  const violations = applied.flatMap((group) => group.apply(subject)).sort(bySeverity);
  return {
    violations,
    summary: { ...summaryOf(violations, strictMode), ...(tree.skipped.length > 0 && { skipped: tree.skipped.length }) },
    checkedFiles: checked.size,
    checkDurationMs: Math.round(performance.now() - startedAt),
    rulesApplied: applied.flatMap(({ rules }) => rules),
    ...skippedIn(tree),
  };
}

const severities: readonly Violation['severity'][] = ['critical', 'warning', 'info'];

/** Within one severity the rules' own order stays, which is by file. */
const bySeverity = (a: Violation, b: Violation): number => severities.indexOf(a.severity) - severities.indexOf(b.severity);

function summaryOf(violations: readonly Violation[], isStrict: boolean): CheckResult['summary'] {
  const [critical = 0, warning = 0, info = 0] = severities.map(
    (severity) => violations.filter((violation) => violation.severity === severity).length,
  );
  return { total: violations.length, critical, warning, info, passed: critical === 0 && !(isStrict && warning > 0) };
}
