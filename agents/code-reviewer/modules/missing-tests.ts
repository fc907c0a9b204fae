import { basename, dirname } from 'node:path/posix';
import { type CodeFile, isScriptFile } from '../code-file.ts';
import type { Remark } from '../issue.ts';
import { type ModuleGraph, reachableFrom } from './module-graph.ts';

const fewModules = 3;
const namedModules = 5;
/** A module this small is seen at a glance. */
const smallLines = 8;

/** Folders with modules that no test reaches, through however many imports; one remark for a folder. */
export function findMissingTests(graph: ModuleGraph, files: readonly CodeFile[]): Remark[] {
  const modules = files.filter((file) => isTestable(file, graph));
  const tests = files.filter(({ isTest }) => isTest);
  if (modules.length < fewModules) return [];
  if (tests.length === 0)
    return [remarkOn(modules[0]?.path ?? '', `none of ${modules.length} modules has a test: there are no tests here`, 'warning')];
  const reached = reachableFrom(
    graph,
    tests.map(({ path }) => path),
  );
  const words = new Set(tests.filter((file) => !isScriptFile(file)).flatMap(wordsOf));
  const isTested = (file: CodeFile): boolean =>
    isScriptFile(file) ? reached.has(file.path) : words.has(basename(file.path).replace(/\.[^.]+$/, ''));
  return [...Map.groupBy(modules, ({ path }) => dirname(path)).values()].flatMap((folder) =>
    judgeFolder(
      folder,
      folder.filter((file) => !isTested(file)),
    ),
  );
}

/** What a test says, and what its own name says it tests: `orders` for `test_orders.py`, `Orders` for `OrdersTest.java`. */
const wordsOf = ({ path, text }: CodeFile): string[] => [
  ...(text.match(/\w+/g) ?? []),
  basename(path)
    .replace(/\.[^.]+$/, '')
    .replace(/^test_|_(test|spec)$|Tests?$/, ''),
];

/** Worth a test: holds functions and more than a few lines, and is not itself what tools or people start. */
function isTestable(file: CodeFile, { modules, entries }: ModuleGraph): boolean {
  if (file.isTest || entries.has(file.path) || file.lines.length <= smallLines) return false;
  return isScriptFile(file)
    ? (modules.get(file.path)?.hasFunctions ?? false)
    : /\.(py|go|rb|java|kt|php|cs)$/.test(file.path) && !/(^|\/)(__init__|setup|conf|manage)\.py$/.test(file.path);
}

function judgeFolder(folder: readonly CodeFile[], untested: readonly CodeFile[]): Remark[] {
  const [first] = untested;
  if (first === undefined) return [];
  const names = untested
    .slice(0, namedModules)
    .map(({ path }) => basename(path))
    .join(', ');
  const more = untested.length > namedModules ? ` and ${untested.length - namedModules} more` : '';
  const isWhole = untested.length === folder.length && folder.length > 1;
  return [
    remarkOn(
      first.path,
      `no test reaches ${untested.length} of ${folder.length} modules in ${dirname(first.path)}: ${names}${more}`,
      isWhole ? 'warning' : 'info',
    ),
  ];
}

const remarkOn = (file: string, description: string, severity: 'warning' | 'info'): Remark => ({
  rule: 'missing-tests',
  severity,
  file,
  line: 1,
  description,
  suggestion: 'Begin with the part whose failure would cost most.',
});
