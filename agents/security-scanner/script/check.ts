import type ts from 'typescript';
import type { FindingType, Severity } from '../finding.ts';
import type { Script } from './script.ts';

/** What a check says about a node; it lies at the node's start. */
export interface Verdict {
  readonly type: FindingType;
  readonly severity: Severity;
  readonly description: string;
}

/** Judges one node; most nodes are none of its business. */
export type Check = (node: ts.Node, script: Script) => Verdict | undefined;
