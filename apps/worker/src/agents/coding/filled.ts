import { type Coding, HiveError, type JsonObject } from '@hivekeeper/contract';

/** What a command is started with. */
export interface Filled {
  readonly program: string;
  readonly args: readonly string[];
  readonly stdin: string;
}

/** The command of a coding agent with the input's fields in their places. @throws HiveError AGENT_INPUT_SCHEMA where one is missing */
export function filled({ command, stdin }: Coding, input: JsonObject): Filled {
  const [program = '', ...args] = command;
  return {
    program,
    args: args.map((argument) => fill(argument, input)),
    stdin: stdin === undefined ? JSON.stringify(input) : fill(stdin, input),
  };
}

function fill(text: string, input: JsonObject): string {
  const field = /^\{([A-Za-z_]\w{0,99})\}$/.exec(text)?.[1];
  if (field === undefined) return text;
  const value = Object.hasOwn(input, field) ? input[field] : undefined;
  if (value === undefined) throw new HiveError('AGENT_INPUT_SCHEMA', `The input has no "${field}", which the command of the agent names.`);
  const words = typeof value === 'string' ? value : JSON.stringify(value);
  if (words.includes('\0')) throw new HiveError('AGENT_INPUT_SCHEMA', `The input's "${field}" holds U+0000.`);
  return words;
}

/** Where to begin from. @throws HiveError AGENT_INPUT_SCHEMA where it is no name */
export function refOf({ refField }: Coding, input: JsonObject): string {
  const ref = Object.hasOwn(input, refField) ? input[refField] : undefined;
  if (ref === undefined || ref === null) return 'HEAD';
  if (typeof ref !== 'string' || ref === '' || /[\0-\x20]/.test(ref))
    throw new HiveError('AGENT_INPUT_SCHEMA', `The input's "${refField}" is no name of a branch, tag or commit.`);
  return ref;
}
