import { Console } from 'node:console';
import { text } from 'node:stream/consumers';
import type { JsonObject } from '@hivekeeper/contract';
import { HiveError } from '@hivekeeper/contract/hive-error';
import { z } from 'zod';
import { isDependencyError } from './durable/errors.ts';

/** What an agent's process touches; tests pass their own. */
export interface AgentSurroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** As `process.argv`: the input is the third. */
  readonly commandLine: readonly string[];
  readonly readStdin: () => Promise<string>;
  readonly writeStdout: (text: string) => Promise<void>;
  readonly writeStderr: (text: string) => Promise<void>;
  readonly exit: (status: number) => void;
}

/** What an agent is told besides its input. */
export interface AgentCall {
  /** The node's action (`HIVE_ACTION`): one of the manifest's capabilities; undefined where the node names none. */
  readonly action: string | undefined;
}

/**
 * Runs an agent by the process contract: JSON from `AGENT_INPUT`, else the first argument, else stdin; one line of JSON
 * on stdout and exit 0, or `{"error": …}` on stderr and exit 1. Whatever is printed through `console` goes to stderr, so
 * that a chatty library cannot spoil the document. The process ends as soon as the document is written, also where
 * the handler left a socket or timer behind.
 */
export async function runAgent<Input, Output>(
  schema: z.ZodType<Input>,
  handler: (input: Input, call: AgentCall) => Output | Promise<Output>,
  surroundings: AgentSurroundings = ofThisProcess(),
): Promise<void> {
  try {
    // An empty variable counts as none, as of the input.
    const action = surroundings.environment['HIVE_ACTION'] || undefined;
    const output = await handler(parseInput(schema, await readInput(surroundings)), { action });
    await surroundings.writeStdout(`${JSON.stringify(output)}\n`);
    surroundings.exit(0);
  } catch (error) {
    await surroundings.writeStderr(`${JSON.stringify(toldOf(error))}\n`);
    surroundings.exit(1);
  }
}

const toldOf = (error: unknown) => ({
  error: error instanceof Error ? error.message : String(error),
  ...(isDependencyError(error) && { dependency: error.dependency }),
});

/** Tells the worker how far the agent is: one line `{"progress": …}` on stderr. */
export function reportProgress(progress: JsonObject): void {
  process.stderr.write(`${JSON.stringify({ progress })}\n`);
}

/** Tells the worker what the attempt cost so far, in millionths of a US dollar: one line `{"costMicroUsd": …}` on stderr; the last one counts. */
export function reportCost(microUsd: number): void {
  process.stderr.write(`${JSON.stringify({ costMicroUsd: Math.ceil(microUsd) })}\n`);
}

/** Lets an agent take its `target` by the older name `repositoryPath` too; `target` wins. For `z.preprocess`. */
export function acceptRepositoryPath(input: unknown): unknown {
  if (typeof input !== 'object' || input === null || !('repositoryPath' in input)) return input;
  return 'target' in input && input.target !== undefined ? input : { ...input, target: input.repositoryPath };
}

/** An empty variable or argument counts as none: shells make them by accident. */
async function readInput({ environment, commandLine, readStdin }: AgentSurroundings): Promise<string> {
  const input = environment['AGENT_INPUT'] || commandLine[2] || (await readStdin());
  if (input.trim() === '') throw new HiveError('INVALID_REQUEST', 'no input: pass JSON in AGENT_INPUT, as the first argument, or on stdin');
  return input;
}

function parseInput<Input>(schema: z.ZodType<Input>, input: string): Input {
  const result = schema.safeParse(parseJson(input));
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`));
  throw new HiveError('INVALID_REQUEST', `invalid input: ${faults.join('; ')}`);
}

function parseJson(input: string): unknown {
  try {
    return JSON.parse(input);
  } catch (cause) {
    throw new HiveError('MALFORMED_JSON', 'invalid input: not a JSON document', { cause });
  }
}

/** The real ones. From here on `console` prints to stderr. */
export function ofThisProcess(): AgentSurroundings {
  globalThis.console = new Console(process.stderr);
  return {
    // eslint-disable-next-line no-restricted-properties -- this variable is the agent contract
    environment: process.env,
    commandLine: process.argv,
    readStdin: async () => (process.stdin.isTTY ? '' : text(process.stdin)),
    writeStdout: (output) => written(process.stdout, output),
    writeStderr: (output) => written(process.stderr, output),
    exit: (status) => process.exit(status),
  };
}

/** Resolves when the text has left the process, which `process.exit` would not wait for on a pipe. */
const written = (stream: NodeJS.WriteStream, output: string): Promise<void> =>
  new Promise((resolve, reject) => stream.write(output, (error) => (error ? reject(error) : resolve())));
