import { lstat, mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { HiveError } from '@hivekeeper/contract';
import writeFileAtomic from 'write-file-atomic';
import type { ReportInput } from './input.ts';
import { markdownOf } from './markdown.ts';
import { outlineOf } from './outline.ts';
import { pageOf } from './page.ts';

/** What the agent answers. */
export interface WrittenReport {
  readonly markdownPath: string;
  readonly htmlPath: string;
  readonly findingCount: number;
  readonly bytesWritten: number;
}

/**
 * Writes `report.md` and `report.html` into the output directory, which is made where it is missing; each appears whole
 * or not at all, in place of an older one.
 */
export async function writeReport(input: ReportInput, writtenAt: string): Promise<WrittenReport> {
  const outline = outlineOf(input, writtenAt);
  const style = await readFile(join(import.meta.dirname, 'style.css'), 'utf8');
  const directory = resolve(input.outputDirectory);
  const markdownPath = join(directory, 'report.md');
  const htmlPath = join(directory, 'report.html');
  await mkdir(directory, { recursive: true });
  const sizes = [await write(markdownPath, markdownOf(outline)), await write(htmlPath, pageOf(outline, style))];
  return { markdownPath, htmlPath, findingCount: outline.total, bytesWritten: sizes.reduce((sum, size) => sum + size, 0) };
}

async function write(path: string, text: string): Promise<number> {
  if (await isSymbolicLink(path))
    throw new HiveError('PATH_NOT_ALLOWED', `${path} is a symbolic link; the report would be written elsewhere`);
  await writeFileAtomic(path, text);
  return Buffer.byteLength(text);
}

async function isSymbolicLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}
