import { type CodeFile, isScriptFile } from '../code-file.ts';
import type { Remark } from '../issue.ts';

const longFile = { warning: 600, error: 1_500 };
const longLine = 200;
const fewLongLines = 3;
const deepNesting = 6;

/** Measures that need no knowledge of the language. The size of a test says little, so it counts for nothing. */
export function judgeSize(file: CodeFile): Remark[] {
  return [...(file.isTest ? [] : judgeLength(file)), ...judgeLongLines(file), ...(isScriptFile(file) ? [] : judgeNesting(file))];
}

function judgeLength({ path, lines }: CodeFile): Remark[] {
  const filled = lines.filter((line) => line.trim() !== '').length;
  if (filled <= longFile.warning) return [];
  return [
    {
      rule: 'file-length',
      severity: filled > longFile.error ? 'error' : 'warning',
      file: path,
      line: 1,
      description: `${filled} lines that are not blank: more than one subject, most likely`,
      suggestion: 'Split it by subject.',
    },
  ];
}

/** A table row or an address may be long; a habit of it may not. */
function judgeLongLines({ path, lines }: CodeFile): Remark[] {
  const first = lines.findIndex(isLong);
  const count = lines.filter(isLong).length;
  if (count <= fewLongLines) return [];
  return [
    {
      rule: 'long-lines',
      severity: 'info',
      file: path,
      line: first + 1,
      description: `${count} lines are longer than ${longLine} characters; this is the first`,
      suggestion: 'Break them where the eye can rest.',
    },
  ];
}

const isLong = (line: string): boolean => line.length > longLine;

/** By indentation, at lines that open a block, so that aligned arguments do not count. */
function judgeNesting({ path, lines }: CodeFile): Remark[] {
  const unit = indentUnitOf(lines);
  const depths = lines.map((line) => (/[{:]\s*$/.test(line) && line.trim() !== '' ? Math.floor(widthOf(line) / unit) : 0));
  const deepest = depths.reduce((deep, depth) => Math.max(deep, depth), 0);
  if (deepest < deepNesting) return [];
  return [
    {
      rule: 'deep-nesting',
      severity: 'warning',
      file: path,
      line: depths.indexOf(deepest) + 1,
      description: `a block ${deepest + 1} levels deep`,
      suggestion: 'Return early, or give the inner block a name of its own.',
    },
  ];
}

const widthOf = (line: string): number => (/^[ \t]*/.exec(line)?.[0] ?? '').replaceAll('\t', '    ').length;

/** The step by which most blocks go in. */
function indentUnitOf(lines: readonly string[]): number {
  const steps = new Map<number, number>();
  for (const [index, line] of lines.entries()) {
    const step = /[{:]\s*$/.test(line) ? widthOf(lines[index + 1] ?? '') - widthOf(line) : 0;
    if (step > 0) steps.set(step, (steps.get(step) ?? 0) + 1);
  }
  return [...steps].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 4;
}
