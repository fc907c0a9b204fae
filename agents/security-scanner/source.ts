import { extname } from 'node:path';
import { isTest } from '@hivekeeper/sdk/source-tree';

/** A file under scan. */
export interface Source {
  readonly path: string;
  /** In lower case with its dot; `.env` and its kin count as `.env`. */
  readonly extension: string;
  readonly text: string;
  readonly isTest: boolean;
}

export const sourceOf = (path: string, text: string): Source => ({ path, extension: extensionOf(path), text, isTest: isTest(path) });

const extensionOf = (path: string): string => (/(^|\/)\.env[^/]*$/.test(path) ? '.env' : extname(path).toLowerCase());

/** Gives the number, from 1, of the line an offset lies on. */
export function lineNumbers(text: string): (offset: number) => number {
  const starts = [0];
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', end + 1)) starts.push(end + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  };
}

/**
 * The text with its long lines blanked out, places kept. Nobody writes such lines, and some expressions take
 * quadratic time on them.
 */
export const withoutLongLines = (text: string): string => text.replaceAll(longLine, (line) => '\u0000'.repeat(line.length));

export const maxLineLength = 500;
const longLine = new RegExp(`[^\\n]{${maxLineLength + 1},}`, 'g');

/** The whole line an offset lies on. */
export function lineAt(text: string, offset: number): string {
  const end = text.indexOf('\n', offset);
  return text.slice(text.lastIndexOf('\n', offset - 1) + 1, end === -1 ? undefined : end);
}
