import { FILE_HEADERS_ONLY, type StructuredPatch, formatPatch, structuredPatch } from 'diff';

/** One file that changes. */
export interface FileChange {
  readonly file: string;
  readonly action: 'modified' | 'created' | 'deleted';
  /** Lines added plus lines removed. */
  readonly linesChanged: number;
  readonly diff: string;
}

/** The change and the diff that undoes it; undefined where both texts are the same. Null is a file that is not there. */
export function describeChange(
  file: string,
  before: string | null,
  after: string | null,
): { change: FileChange; rollback: string } | undefined {
  if (before === after) return undefined;
  const forward = unified(file, before, after);
  return {
    change: { file, action: actionOf(before, after), linesChanged: countLines(forward), diff: format(forward) },
    rollback: format(unified(file, after, before)),
  };
}

function actionOf(before: string | null, after: string | null): FileChange['action'] {
  if (before === null) return 'created';
  return after === null ? 'deleted' : 'modified';
}

/** In the form that `git apply` and `patch -p1` take; `/dev/null` is the missing side. */
const unified = (file: string, before: string | null, after: string | null): StructuredPatch =>
  structuredPatch(before === null ? '/dev/null' : `a/${file}`, after === null ? '/dev/null' : `b/${file}`, before ?? '', after ?? '');

const format = (patch: StructuredPatch): string => formatPatch(patch, FILE_HEADERS_ONLY);

const countLines = ({ hunks }: StructuredPatch): number => hunks.flatMap(({ lines }) => lines).filter((line) => /^[+-]/.test(line)).length;
