import { type SourcePath, type SourceTree, readSource } from '@hivekeeper/sdk/source-tree';

/** One rule that the repository breaks. */
export interface Violation {
  readonly rule: string;
  readonly severity: 'info' | 'warning' | 'critical';
  /** Relative to the target. */
  readonly file: string;
  readonly line?: number;
  readonly message: string;
  readonly remediation?: string;
}

/** What a group of rules gets to look at. */
export interface Subject {
  readonly tree: SourceTree;
  readonly isStrict: boolean;
  /** The file's text, where it is one; remembers that the file was checked. */
  readonly read: (path: SourcePath, maxBytes?: number) => string | undefined;
}

/** Rules that belong together: their names, and the one function that applies them all. */
export interface RuleGroup {
  readonly rules: readonly string[];
  readonly apply: (subject: Subject) => readonly Violation[];
}

/** A subject that adds every file it reads to `checked`. */
export const subjectOf = (tree: SourceTree, isStrict: boolean, checked: Set<SourcePath>): Subject => ({
  tree,
  isStrict,
  read: (path, maxBytes) => {
    const text = readSource(tree, path, maxBytes);
    if (text !== undefined) checked.add(path);
    return text;
  },
});

/** The line, from 1, on which `index` of the text lies. */
export const lineAt = (text: string, index: number): number => text.slice(0, index).split('\n').length;
