import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { realpathSync } from 'node:fs';
import { promisify } from 'node:util';
import { findProgram } from '../../sandbox/process/index.ts';
import { isBelow } from './workspace.ts';

/** A program that runs agents, and the files it needs besides /usr. */
export interface Runtime {
  readonly file: string;
  readonly paths: readonly string[];
}

/** What this worker can run agents with. `exec` agents bring their own. */
export interface Runtimes {
  readonly node: Runtime;
  readonly python?: Runtime;
}

/** Our own node binary, and the python3 that the PATH means, asked where it really lives (a shim or a virtualenv says so). */
export async function findRuntimes(searchPath: string): Promise<Runtimes> {
  const node = realpathSync(process.execPath);
  const python = await findPython(searchPath);
  return { node: { file: node, paths: besidesUsr([node]) }, ...(python !== undefined && { python }) };
}

const question = 'import sys; print(sys.executable, sys.prefix, sys.base_prefix, sep="\\n")';

async function findPython(searchPath: string): Promise<Runtime | undefined> {
  const program = findProgram('python3', searchPath);
  if (program === undefined) return undefined;
  try {
    const { stdout } = await promisify(execFile)(program, ['-c', question], { timeout: 10_000, env: { PATH: searchPath } });
    const [file = '', prefix = '', basePrefix = ''] = stdout.trim().split('\n');
    return { file, paths: besidesUsr([prefix, basePrefix].map((path) => realpathSync(path))) };
  } catch {
    return undefined;
  }
}

const besidesUsr = (paths: readonly string[]): readonly string[] => [...new Set(paths)].filter((path) => !isBelow(path, '/usr'));

/** The PATH of an agent. */
export const agentSearchPath = ({ node, python }: Runtimes): string =>
  [...new Set([dirname(node.file), ...(python === undefined ? [] : [dirname(python.file)]), '/usr/local/bin', '/usr/bin', '/bin'])].join(
    ':',
  );
