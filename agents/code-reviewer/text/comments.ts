import type { CodeFile } from '../code-file.ts';
import type { Remark } from '../issue.ts';

const marker = /(?:\/\/|\/\*|^\s*\*|#|--|<!--).*\b(?:TODO|FIXME|HACK|XXX)\b/;
const manyMarkers = 5;
const fewMarkers = 3;
const linesPerMarker = 40;
const maxLineLength = 500;

/** Where work that was put off has piled up. */
export function findPiledTodos({ path, lines: whole }: CodeFile): Remark[] {
  const lines = whole.map((line) => line.slice(0, maxLineLength)); // the marker takes quadratic time
  const count = lines.filter((line) => marker.test(line)).length;
  if (count < fewMarkers || (count < manyMarkers && count * linesPerMarker < lines.length)) return [];
  return [
    {
      rule: 'todo-density',
      severity: 'info',
      file: path,
      line: lines.findIndex((line) => marker.test(line)) + 1,
      description: `${count} notes of work put off in ${lines.length} lines; this is the first`,
      suggestion: 'Do them, or move them to the issue tracker.',
    },
  ];
}

/** `except: pass` and its kin; scripts are judged on their syntax tree. */
export function findForgottenErrors(file: CodeFile): Remark[] {
  const pattern = file.path.endsWith('.py')
    ? /^[ \t]*except\b[^\n]*:[ \t]*(?:\n[ \t]+)?pass[ \t]*$/gm
    : /\bcatch\s{0,20}\([^()\n]{0,200}\)\s{0,20}\{\s{0,200}\}/g;
  return [...file.text.matchAll(pattern)].map((match) => ({
    rule: 'empty-catch',
    severity: 'warning',
    file: file.path,
    line: file.text.slice(0, match.index).split('\n').length,
    description: 'an error is caught and forgotten: nobody will learn that this failed',
    suggestion: 'Handle it, let it pass, or say in a comment why it does not matter.',
  }));
}
