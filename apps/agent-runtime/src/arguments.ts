import { parseArgs } from 'node:util';
import { HiveError } from '@hivekeeper/contract';
import { type MonitorFormat, monitorFormats, type MonitorMode, monitorModes } from './desk/index.ts';

const text = { type: 'string' } as const;
const flags = {
  ...{ port: text, host: text, state: text, 'drain-ms': text },
  ...{ broker: text, 'agent-id': text, 'conversation-id': text },
  ...{ message: text, query: text, instruction: text, input: text, tool: text, 'tool-params': text, 'next-agent': text, 'wait-ms': text },
  ...{ mode: text, format: text, filter: text },
  json: { type: 'boolean', default: false },
} as const;

/** What the process was called with. */
export interface Arguments {
  readonly command: string;
  readonly path: string;
  readonly isJson: boolean;
  readonly values: Readonly<Partial<Record<Exclude<keyof typeof flags, 'json'>, string>>>;
}

/** @throws HiveError CONFIGURATION_INVALID */
export function readArguments(args: readonly string[]): Arguments {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: flags, strict: true, allowPositionals: true });
    const [command = 'run', path = 'agent.toml'] = positionals;
    const { json: isJson, ...rest } = values;
    return { command, path, isJson, values: rest };
  } catch (cause) {
    throw new HiveError('CONFIGURATION_INVALID', cause instanceof Error ? cause.message : 'the arguments cannot be read', { cause });
  }
}

/** Everything, in lines for people, where nothing else is asked for. @throws HiveError COMMAND_INVALID */
export const monitorChoice = (
  { mode, format }: Arguments['values'],
  isJson: boolean,
): { readonly mode: MonitorMode; readonly format: MonitorFormat } => ({
  mode: oneOf(monitorModes, mode ?? 'all'),
  format: oneOf(monitorFormats, format ?? (isJson ? 'json' : 'pretty')),
});

function oneOf<Word extends string>(words: readonly Word[], given: string): Word {
  const word = words.find((candidate) => candidate === given);
  if (word === undefined) throw new HiveError('COMMAND_INVALID', `expected one of ${words.join(', ')}, not "${given}"`);
  return word;
}

/** @throws HiveError COMMAND_INVALID */
export function waitOf(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  if (!/^\d{1,9}$/.test(given)) throw new HiveError('COMMAND_INVALID', `expected milliseconds, not "${given}"`);
  return Number(given);
}
