import { matchesGlob } from 'node:path/posix';
import { reportProgress } from '@hivekeeper/sdk';
import { type Skipped, listSourceTree, skippedIn } from '@hivekeeper/sdk/source-tree';
import { type CodeFile, isScriptFile, readCode } from './code-file.ts';
import type { ReviewInput } from './input.ts';
import { type Issue, type Remark, issueOf, severities } from './issue.ts';
import { findDeadExports } from './modules/dead-exports.ts';
import { findMissingTests } from './modules/missing-tests.ts';
import { buildModuleGraph } from './modules/module-graph.ts';
import { type FunctionMeasure, judgeFunctions, measureFunctions } from './script/functions.ts';
import { findBlockingCalls } from './script/requests.ts';
import { findSmells } from './script/smells.ts';
import { findForgottenErrors, findPiledTodos } from './text/comments.ts';
import { findDuplication } from './text/duplication.ts';
import { judgeSize } from './text/size.ts';

export interface ReviewOutput {
  readonly issues: readonly Issue[];
  /** Counts all issues, also those that `issues` leaves out. */
  readonly summary: {
    readonly total: number;
    readonly errors: number;
    readonly warnings: number;
    readonly info: number;
    readonly filesReviewed: number;
    readonly skipped?: number;
  };
  readonly metrics: { readonly avgComplexity: number; readonly maxComplexity: number; readonly totalLines: number };
  readonly reviewDurationMs: number;
  /** The first of what could not be looked at; `summary` counts all. */
  readonly skipped?: readonly Skipped[];
  /** Present where `issues` holds the worst {@link maxIssues} only. */
  readonly truncated?: true;
}

const maxIssues = 200;

/** Reviews the code of the target; the worst issues come first. */
export async function review(input: ReviewInput): Promise<ReviewOutput> {
  const startedAtMs = performance.now();
  const tree = await listSourceTree(input.target);
  const files = readCode(tree);
  reportProgress({ filesRead: files.length });
  const reviewed = files.filter(({ path }) => matches(path, input.filePattern));
  const measures = new Map(reviewed.filter(isScriptFile).map((file) => [file.path, measureFunctions(file)]));
  const graph = buildModuleGraph(tree, files);
  const remarks = [
    ...reviewed.flatMap((file) => reviewFile(file, measures.get(file.path) ?? [])),
    ...[...findDuplication(files), ...findDeadExports(graph, files), ...findMissingTests(graph, files)].filter(({ file }) =>
      matches(file, input.filePattern),
    ),
  ];
  const issues = remarks
    .map(issueOf)
    .filter(({ type }) => input.type === 'all' || input.type === type)
    .sort(byWeight);
  return {
    issues: issues.slice(0, maxIssues),
    summary: { ...summaryOf(issues, reviewed.length), ...(tree.skipped.length > 0 && { skipped: tree.skipped.length }) },
    metrics: metricsOf(reviewed, [...measures.values()].flat()),
    reviewDurationMs: Math.round(performance.now() - startedAtMs),
    ...skippedIn(tree),
    ...(issues.length > maxIssues && { truncated: true }),
  };
}

const matches = (path: string, pattern: string | undefined): boolean =>
  pattern === undefined || matchesGlob(path, pattern.includes('/') ? pattern.replace(/^\.?\//, '') : `**/${pattern}`);

const reviewFile = (file: CodeFile, measures: readonly FunctionMeasure[]): Remark[] => [
  ...judgeSize(file),
  ...findPiledTodos(file),
  ...(isScriptFile(file) ? judgeFunctions(file, measures) : []),
  // What a test swallows, copies or blocks harms nobody.
  ...(file.isTest ? [] : isScriptFile(file) ? [...findSmells(file), ...findBlockingCalls(file)] : findForgottenErrors(file)),
];

const byWeight = (a: Issue, b: Issue): number =>
  severities.indexOf(a.severity) - severities.indexOf(b.severity) || a.file.localeCompare(b.file) || a.line - b.line;

function summaryOf(issues: readonly Issue[], filesReviewed: number): ReviewOutput['summary'] {
  const [errors = 0, warnings = 0, info = 0] = severities.map((severity) => issues.filter((issue) => issue.severity === severity).length);
  return { total: issues.length, errors, warnings, info, filesReviewed };
}

function metricsOf(files: readonly CodeFile[], measures: readonly FunctionMeasure[]): ReviewOutput['metrics'] {
  const complexities = measures.map(({ complexity }) => complexity);
  const sum = complexities.reduce((total, each) => total + each, 0);
  return {
    avgComplexity: complexities.length === 0 ? 0 : Math.round((sum / complexities.length) * 100) / 100,
    maxComplexity: complexities.reduce((most, each) => Math.max(most, each), 0),
    totalLines: files.reduce((total, { lines }) => total + lines.length, 0),
  };
}
