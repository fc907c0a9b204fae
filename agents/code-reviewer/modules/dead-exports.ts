import { type CodeFile, isScriptFile, lineOf } from '../code-file.ts';
import type { Remark } from '../issue.ts';
import { type ModuleGraph, takenExports } from './module-graph.ts';

/**
 * Exported functions, classes and values that nothing in the tree takes; a test counts as taking. Says nothing of entries, nor
 * of a tree without a package.json, which may be a part of something larger.
 */
export function findDeadExports(graph: ModuleGraph, files: readonly CodeFile[]): Remark[] {
  if (!graph.hasPackage) return [];
  const taken = takenExports(graph);
  return files
    .filter(isScriptFile)
    .filter(({ path, isTest }) => !isTest && !graph.entries.has(path))
    .flatMap(({ path, script }) =>
      (graph.modules.get(path)?.exports ?? [])
        .filter(({ name }) => !taken.has(`${path} ${name}`) && !taken.has(`${path} *`))
        .map(({ name, node, isUsedInside }): Remark => ({
          rule: 'dead-export',
          severity: isUsedInside ? 'info' : 'warning',
          file: path,
          line: lineOf(script, node),
          description: isUsedInside ? `${name} is exported, but only used in this file` : `${name} is exported, but nothing uses it`,
          suggestion: isUsedInside ? 'Drop the word export.' : 'Remove it.',
        })),
    );
}
