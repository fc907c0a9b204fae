import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { performance } from 'node:perf_hooks';
import { HiveError } from '@hivekeeper/contract';
import writeFileAtomic from 'write-file-atomic';
import { confinedPath } from './confine.ts';
import { type FileChange, describeChange } from './describe.ts';
import { type NewText, planEdit } from './edit.ts';
import type { PatchInput } from './input.ts';

/** Larger files are not source and would only fill the diff. */
const maxFileBytes = 5 * 1024 * 1024;

/** What the agent answers. */
export interface PatchResult {
  /** True where the disk was changed. */
  readonly applied: boolean;
  readonly changes: readonly FileChange[];
  readonly summary: {
    readonly filesModified: number;
    readonly filesCreated: number;
    readonly filesDeleted: number;
    readonly totalLinesChanged: number;
  };
  readonly patchDurationMs: number;
  /** A unified diff that undoes the change: `git apply` or `patch -p1` in the target. */
  readonly rollbackScript?: string;
}

/**
 * Changes one file of the target, or says what it would change. Both ways do the same up to the moment of writing, so a
 * dry run fails where the real one would.
 */
export async function patch(input: PatchInput & { readonly dryRun: boolean }): Promise<PatchResult> {
  const startedAt = performance.now();
  const { file, edit } = planEdit(input);
  const path = await confinedPath(input.target, file);
  const before = await readText(path, file);
  const after = explained(file, () => edit(before));
  const described = describeChange(file, before, after);
  const isApplied = described !== undefined && !input.dryRun;
  if (isApplied) await write(path, after);
  return {
    applied: isApplied,
    changes: described === undefined ? [] : [described.change],
    summary: summaryOf(described?.change),
    patchDurationMs: Math.round(performance.now() - startedAt),
    ...(described !== undefined && { rollbackScript: described.rollback }),
  };
}

/** Null where there is no such file. */
async function readText(path: string, file: string): Promise<string | null> {
  try {
    const info = await stat(path);
    if (!info.isFile()) throw new HiveError('INVALID_REQUEST', `${file} is not a regular file`);
    if (info.size > maxFileBytes) throw new HiveError('INVALID_REQUEST', `${file} is larger than ${maxFileBytes} bytes`);
    return decode(await readFile(path), file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** Writing back what was not read faithfully would destroy it. */
function decode(bytes: Buffer, file: string): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.includes('\0')) return text;
  } catch (cause) {
    throw new HiveError('INVALID_REQUEST', `${file} is not UTF-8 text`, { cause });
  }
  throw new HiveError('INVALID_REQUEST', `${file} is a binary file`);
}

/** Names the file in a refusal of the edit, which does not know it. */
function explained(file: string, edit: () => NewText): NewText {
  try {
    return edit();
  } catch (error) {
    throw HiveError.is(error) ? new HiveError(error.code, `${file}: ${error.message}`, { cause: error }) : error;
  }
}

/** All or nothing: readers see the old text or the new one, also after a crash. */
async function write(path: string, text: NewText): Promise<void> {
  if (text === null) return rm(path);
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(path, text);
}

function summaryOf(change: FileChange | undefined): PatchResult['summary'] {
  const count = (action: FileChange['action']): number => Number(change?.action === action);
  return {
    filesModified: count('modified'),
    filesCreated: count('created'),
    filesDeleted: count('deleted'),
    totalLinesChanged: change?.linesChanged ?? 0,
  };
}
