/** Worst first. */
export const severities = ['error', 'warning', 'info'] as const;
export type Severity = (typeof severities)[number];

export const issueTypes = ['quality', 'security', 'performance'] as const;
export type IssueType = (typeof issueTypes)[number];

/** Every rule, and the type of its issues. */
const ruleTypes = {
  complexity: 'quality',
  'function-length': 'quality',
  'too-many-parameters': 'quality',
  'file-length': 'quality',
  'long-lines': 'quality',
  'deep-nesting': 'quality',
  duplication: 'quality',
  'dead-export': 'quality',
  'missing-tests': 'quality',
  'todo-density': 'quality',
  'empty-catch': 'quality',
  'sync-io': 'performance',
  'quadratic-copy': 'performance',
  'json-clone': 'performance',
  'cookie-flags': 'security',
  'open-cors': 'security',
  'open-message': 'security',
} as const satisfies Record<string, IssueType>;
export type Rule = keyof typeof ruleTypes;

/** What a rule says about a place. */
export interface Remark {
  readonly rule: Rule;
  readonly severity: Severity;
  /** Relative to the target. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly description: string;
  readonly suggestion?: string;
}

/** What the agent reports. */
export interface Issue extends Remark {
  readonly type: IssueType;
}

const maxDescriptionLength = 500;

export const issueOf = (remark: Remark): Issue => ({
  type: ruleTypes[remark.rule],
  ...remark,
  description:
    remark.description.length <= maxDescriptionLength ? remark.description : `${remark.description.slice(0, maxDescriptionLength - 1)}…`,
});
