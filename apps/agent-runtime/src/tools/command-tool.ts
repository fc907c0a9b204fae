import { spawn } from 'node:child_process';
import { HiveError, type JsonObject } from '@hivekeeper/contract';
import { z } from 'zod';
import { configOf, type OpenTool } from './tool.ts';

const configSchema = z.strictObject({
  /** Program and arguments; no shell reads them. */
  command: z.array(z.string().min(1)).min(1),
  description: z.string().min(1),
  /** JSON Schema of what the program gets on stdin. */
  parameters: z.record(z.string(), z.unknown()),
  /** Names of variables that it sees besides PATH and HOME. */
  environment: z.array(z.string()).default([]),
  max_output_size: z.int().min(1).default(1_048_576),
});

/** A tool of one's own: a program that gets the arguments as JSON on stdin, and says its output on stdout. */
export const openCommandTool: OpenTool = (config, { environment }) => {
  const { command, description, parameters, environment: names, max_output_size: maxBytes } = configOf(configSchema, config);
  const [file = '', ...args] = command;
  const env = Object.fromEntries(['PATH', 'HOME', ...names].map((name) => [name, environment[name]]));
  return {
    description,
    parameters: parameters as JsonObject,
    run: (input, signal) =>
      new Promise((resolve, reject) => {
        // A group of its own: what it started ends with it.
        const child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
        const kill = () => killGroup(child.pid);
        signal.addEventListener('abort', kill, { once: true });
        const out: Buffer[] = [];
        let outBytes = 0;
        let err = '';
        const fail = (text: string) => reject(new HiveError('TOOL_FAILED', text));
        child.on('error', (error) => fail(error.message));
        child.stdout.on('data', (piece: Buffer) => {
          outBytes += piece.length;
          if (outBytes <= maxBytes) return void out.push(piece);
          kill();
          fail(`the output is larger than ${maxBytes} bytes`);
        });
        child.stderr.setEncoding('utf8').on('data', (piece: string) => (err = (err + piece).slice(-2_000)));
        child.on('close', (code, killer) => {
          signal.removeEventListener('abort', kill);
          if (code === 0) resolve(Buffer.concat(out).toString('utf8').trimEnd());
          else fail(`it ended with ${code ?? killer}: ${err.trim()}`);
        });
        // One that does not read what it gets says so by how it ends.
        child.stdin.on('error', () => {});
        child.stdin.end(JSON.stringify(input));
      }),
  };
};

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // Nobody of it is left.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
