import type { JsonObject } from '@hivekeeper/contract';

/** What the last step printed, as the output shows it: files with their lines, and a patch that `git apply` takes. */
export interface Difference {
  readonly files: readonly { readonly path: string; readonly insertions: number | null; readonly deletions: number | null }[];
  readonly diff: string;
}

/**
 * Reads `git diff --numstat -z`, an empty entry, and a patch. Lines of binary files are not counted. Undefined where the patch is
 * not UTF-8: JSON could not carry it unchanged.
 */
export function readDifference(stdout: Buffer): Difference | undefined {
  const end = stdout[0] === 0 ? 0 : stdout.indexOf('\0\0') + 1;
  const entries = stdout.subarray(0, end).toString('utf8').split('\0').filter(Boolean);
  try {
    return {
      files: entries.map(fileOf),
      diff: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(stdout.subarray(end + 1)),
    };
  } catch {
    return undefined;
  }
}

function fileOf(entry: string): Difference['files'][number] {
  const [insertions = '', deletions = '', ...path] = entry.split('\t');
  const count = (text: string) => (text === '-' ? null : Number(text));
  return { path: path.join('\t'), insertions: count(insertions), deletions: count(deletions) };
}

/** How much of what the command said on stdout is shown with its work. */
const mostSaidBytes = 16_384;

/** The output of a coding agent. */
export function outputOf({ files, diff }: Difference, { base, said }: { readonly base: string; readonly said: Buffer }): JsonObject {
  const sum = (counts: readonly (number | null)[]) => counts.reduce((total: number, count) => total + (count ?? 0), 0);
  return {
    base,
    diff,
    stat: {
      files: files.length,
      insertions: sum(files.map((file) => file.insertions)),
      deletions: sum(files.map((file) => file.deletions)),
    },
    files: files.map((file) => ({ ...file })),
    said: said.subarray(-mostSaidBytes).toString('utf8').replaceAll('\0', '').toWellFormed(),
  };
}
