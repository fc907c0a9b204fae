import type { CodeFile } from '../code-file.ts';
import type { Remark } from '../issue.ts';

/** Shorter repeats are idiom. Counted in lines that say something: no blank, comment, import or lone bracket. */
const minLines = 12;
/** Twelve lines of one word each are a list, not logic. */
const minCharacters = 350;

interface Line {
  readonly number: number;
  readonly text: string;
}

interface Text {
  readonly path: string;
  readonly lines: readonly Line[];
}

/** The same block in two places, the later one first. */
interface Repeat {
  readonly again: Text;
  readonly first: Text;
}

interface Place {
  readonly file: number;
  readonly index: number;
}

/**
 * Blocks that stand in the tree twice, tests left out. Works on lines with their blanks folded, in any language: each run of
 * {@link minLines} lines is looked up among all runs before it, and a hit is followed as far as the lines agree. One pass
 * in linear time.
 */
export function findDuplication(files: readonly CodeFile[]): Remark[] {
  const texts = files.filter(isJudged).map(({ path, lines }) => ({ path, lines: sayingLines(lines) }));
  const numbers = numberLines(texts.map(({ lines }) => lines));
  const firstAt = new Map<string, Place>();
  const repeats: Repeat[] = [];
  for (const [file, ids] of numbers.entries()) {
    for (let index = 0; index + minLines <= ids.length; index += 1) {
      const key = ids.slice(index, index + minLines).join();
      const first = firstAt.get(key);
      if (first === undefined) firstAt.set(key, { file, index });
      else if (first.file !== file || first.index + minLines <= index) {
        const length = agreeingFrom(numbers[first.file] ?? [], first.index, ids.slice(index));
        repeats.push({ again: blockAt(texts, { file, index }, length), first: blockAt(texts, first, length) });
        index += length - 1;
      }
    }
  }
  const telling = repeats.filter(({ again }) => charactersIn(again) >= minCharacters);
  return [...Map.groupBy(telling, ({ again, first }) => `${again.path} ${first.path}`).values()].map(remarkOn);
}

/** Tests, examples and declarations repeat themselves by nature. */
const isJudged = ({ path, isTest }: CodeFile): boolean => !isTest && !/(^|\/)(examples?|bench(marks?)?)\/|\.d\.[mc]?ts$/.test(path);

const silent =
  /^(?:\/\/|#|\/?\*|--)|^[\s()[\]{};,]*$|^(?:import|from|using|package|require|include|use)\b|^\}? from ['"]|^(?:type )?[\w$]+(?: as \w+)?,?$/;

const sayingLines = (lines: readonly string[]): Line[] =>
  lines.map((line, index) => ({ number: index + 1, text: line.trim().replaceAll(/\s+/g, ' ') })).filter(({ text }) => !silent.test(text));

/** The same number for the same text, so that runs compare fast. */
function numberLines(texts: readonly (readonly Line[])[]): number[][] {
  const ids = new Map<string, number>();
  return texts.map((lines) =>
    lines.map(({ text }) => {
      const id = ids.get(text) ?? ids.size;
      ids.set(text, id);
      return id;
    }),
  );
}

function agreeingFrom(ids: readonly number[], start: number, others: readonly number[]): number {
  let length = 0;
  while (length < others.length && ids[start + length] === others[length]) length += 1;
  return length;
}

const blockAt = (texts: readonly Text[], { file, index }: Place, length: number): Text => ({
  path: texts[file]?.path ?? '',
  lines: texts[file]?.lines.slice(index, index + length) ?? [],
});

const charactersIn = ({ lines }: Text): number => lines.reduce((sum, { text }) => sum + text.length, 0);

/** One remark for all that one file repeats of another, at the longest block. */
function remarkOn(repeats: readonly Repeat[]): Remark {
  const { again, first } = repeats.reduce((long, each) => (each.again.lines.length > long.again.lines.length ? each : long));
  const more = repeats.length === 1 ? '' : `, and ${repeats.length - 1} more such blocks`;
  return {
    rule: 'duplication',
    severity: 'warning',
    file: again.path,
    line: again.lines[0]?.number ?? 1,
    description: `${again.lines.length} lines repeat ${first.path}:${first.lines[0]?.number ?? 1}${more}`,
    suggestion: 'Let one piece of code serve both places.',
  };
}
