import { z } from 'zod';

/**
 * How an agent of the kind `coding` is started: any command, in a checkout of its own of the repository that the input names. An
 * argument that is `{field}` stands for that field of the input: text as it is, anything else as JSON.
 */
export const codingSchema = z.strictObject({
  /** The program, looked up on the worker's PATH, or `./x` beside the manifest; and its arguments. */
  command: z.array(z.string().min(1).max(10_000)).min(1).max(100),
  /** What the command reads on stdin, `{field}` too; the whole input as JSON where absent. */
  stdin: z.string().max(10_000).exactOptional(),
  /** The field of the input that holds the repository's absolute path. */
  repositoryField: z.string().min(1).max(100).default('repository'),
  /** The field of the input that may name a branch, tag or commit to begin from; what is checked out there where the input lacks it. */
  refField: z.string().min(1).max(100).default('ref'),
});
/** {@link codingSchema}, with its defaults filled in. */
export type Coding = z.infer<typeof codingSchema>;
