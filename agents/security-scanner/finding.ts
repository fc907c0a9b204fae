/** Least first. */
export const severities = ['low', 'medium', 'high', 'critical'] as const;
export type Severity = (typeof severities)[number];

export type FindingType =
  | 'secrets'
  | 'sql-injection'
  | 'xss'
  | 'code-injection'
  | 'command-injection'
  | 'path-traversal'
  | 'unsafe-deserialization'
  | 'weak-crypto'
  | 'insecure-random'
  | 'tls-verification'
  | 'dependencies';

/** What a rule says about a place in a text. */
export interface Hit {
  readonly type: FindingType;
  readonly severity: Severity;
  /** Of the first character at fault. */
  readonly offset: number;
  readonly description: string;
}

/** What the agent reports. `code` never shows a secret. */
export interface Finding {
  readonly type: FindingType;
  readonly severity: Severity;
  /** Relative to the target. */
  readonly file: string;
  readonly line: number;
  readonly description: string;
  readonly code?: string;
}

export const rankOf = (severity: Severity): number => severities.indexOf(severity);
