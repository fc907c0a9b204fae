/** The Node that comes with the project, and how a program is started with it. Plain JavaScript: Node 20 runs it. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const leastMajor = 24;
export const projectDirectory = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

const majorOf = (version) => Number(version.replace(/^v/, '').split('.')[0]);

/** True where this process is new enough to run the project's TypeScript. */
export const isNewEnough = () => majorOf(process.version) >= leastMajor;

/** Path of a Node that is new enough: the project's, else this process's; undefined where there is none. */
export function findNode() {
  const candidates = ['node_modules/node/bin/node', 'node_modules/.bin/node'].map((path) => join(projectDirectory, path));
  const found = candidates.find(
    (path) => existsSync(path) && majorOf(spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout ?? '') >= leastMajor,
  );
  return found ?? (isNewEnough() ? process.execPath : undefined);
}

/**
 * Runs a program in this process's place and ends as it ends. It does not outlive this process, also where this one is
 * killed with -9: only the kernel can promise that, and setpriv asks it to.
 */
export function runInPlace(command, args, options = {}) {
  const tether =
    process.platform === 'linux' && spawnSync('setpriv', ['--version']).status === 0 ? ['setpriv', '--pdeathsig', 'TERM', '--'] : [];
  const [file, ...rest] = [...tether, command, ...args];
  const child = spawn(file, rest, { stdio: 'inherit', ...options });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}
