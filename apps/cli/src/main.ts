/** `hive` as a process: arguments in, text and an exit status out. Entered from bin/hive.mjs. */
import { HiveError } from '@hivekeeper/contract/hive-error';
import { systemClock } from '@hivekeeper/kernel/clock';
import { CommanderError } from 'commander';
import metadata from '../package.json' with { type: 'json' };
import { asHiveError, failureDocument, failureText } from './failure.ts';
import { programFor } from './program.ts';
import type { Terminal } from './terminal.ts';

/** Runs the command line of this process. */
export async function runProcess(): Promise<void> {
  // A reader that has seen enough (`hive runs | head`) ends us, quietly.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  const terminal: Terminal = {
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    workingDirectory: process.cwd(),
    clock: systemClock,
    ...(process.stdin.isTTY && process.stdout.isTTY && { ask }),
  };
  process.exitCode = await run(process.argv.slice(2), terminal);
}

/** No is what a person says who only presses Enter, or Ctrl-C. */
async function ask(question: string): Promise<boolean> {
  const { confirm } = await import('@clack/prompts');
  return (await confirm({ message: question, initialValue: false })) === true;
}

/** Runs one command line and gives its exit status. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const isJson = args.includes('--json');
  const program = programFor(terminal, metadata.version);
  quieten(program.command, terminal);
  try {
    await program.command.parseAsync(args.length === 0 ? ['--help'] : [...args], { from: 'user' });
    return program.exitCode();
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    return tell(error instanceof CommanderError ? usageError(error) : asHiveError(error), terminal, isJson);
  }
}

type Command = ReturnType<typeof programFor>['command'];

/** Help goes where the terminal is; faults are ours to tell. */
function quieten(command: Command, terminal: Terminal): void {
  command
    .exitOverride()
    .configureOutput({ writeOut: (text) => void terminal.stdout.write(text), writeErr: () => undefined, outputError: () => undefined });
  for (const child of command.commands) quieten(child, terminal);
}

const usageError = ({ message }: CommanderError): HiveError =>
  new HiveError('COMMAND_INVALID', message.replace(/^error: /, '').replaceAll('\n', ' '));

async function tell(error: HiveError, terminal: Terminal, isJson: boolean): Promise<number> {
  if (isJson) {
    terminal.stdout.write(`${JSON.stringify(failureDocument(error), undefined, 2)}\n`);
    return error.entry.exitCode;
  }
  const { default: pc } = await import('picocolors');
  const { hasColors } = await import('./output.ts');
  terminal.stderr.write(`${failureText(error, pc.createColors(hasColors(terminal, terminal.stderr)))}\n`);
  return error.entry.exitCode;
}
