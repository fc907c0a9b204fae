import Table from 'cli-table3';
import type { Colors } from '../output.ts';

const bare = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** A table without frames: columns stay aligned, and lines can be cut by other programs. */
export function tableText(head: readonly string[], rows: readonly (readonly string[])[], colors: Colors): string {
  const table = new Table({ chars: bare, style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 } });
  table.push(
    head.map((title) => colors.dim(title)),
    ...rows.map((row) => [...row]),
  );
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}
