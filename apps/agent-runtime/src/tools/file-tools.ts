import { HiveError } from '@hivekeeper/contract';
import { z } from 'zod';
import { openForReading, openForWriting } from './file-access.ts';
import { configOf, type OpenTool, typed } from './tool.ts';

const configSchema = z.strictObject({
  /** Directories; without them the tool would reach everything, so there is no default. */
  allowed_paths: z.array(z.string().min(1)).min(1),
  max_file_size: z.int().min(1).default(1_048_576),
});

/** `file_read`: a file below the allowed paths. */
export const openFileRead: OpenTool = (config) => {
  const { allowed_paths: roots, max_file_size: maxBytes } = configOf(configSchema, config);
  return {
    description: 'Read a text file.',
    ...typed(z.strictObject({ path: z.string().min(1) }), async ({ path }) => {
      await using file = await openForReading(path, roots);
      const { size } = await regular(file, path);
      if (size > maxBytes) throw new HiveError('TOOL_FAILED', `${path} is larger than ${maxBytes} bytes`);
      // It may grow meanwhile; no more than the limit is read.
      const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
      return { content: buffer.subarray(0, bytesRead).toString('utf8'), size: bytesRead };
    }),
  };
};

/** `file_write`: a file below the allowed paths, replaced whole. */
export const openFileWrite: OpenTool = (config) => {
  const { allowed_paths: roots, max_file_size: maxBytes } = configOf(configSchema, config);
  return {
    description: 'Write a text file. What was in it is replaced; missing directories are made.',
    ...typed(z.strictObject({ path: z.string().min(1), content: z.string() }), async ({ path, content }) => {
      const bytes = Buffer.from(content);
      if (bytes.length > maxBytes) throw new HiveError('TOOL_FAILED', `the content is larger than ${maxBytes} bytes`);
      await using file = await openForWriting(path, roots);
      await regular(file, path);
      await file.writeFile(bytes);
      return { path, bytes_written: bytes.length };
    }),
  };
};

async function regular(file: Awaited<ReturnType<typeof openForReading>>, path: string) {
  const stats = await file.stat();
  if (!stats.isFile()) throw new HiveError('TOOL_FAILED', `${path} is no file`);
  return stats;
}
