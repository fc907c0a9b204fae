#!/usr/bin/env node
// Plain JavaScript, so that an older Node gets as far as starting the one that comes with the project.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import module, { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const leastMajor = 24;

if (Number(process.versions.node.split('.')[0]) >= leastMajor) {
  module.enableCompileCache?.();
  const { runProcess } = await import('../src/main.ts');
  await runProcess();
} else {
  startNewerNode();
}

function startNewerNode() {
  const node = newerNode();
  if (node === undefined) {
    process.stderr.write(`hive needs Node ${leastMajor}; this is ${process.version}, and the project's own is not installed.\n\nNext: npm ci\n`);
    process.exit(1);
  }
  // The child must not outlive this process, also where this one is killed with -9; only the kernel can promise that.
  const tether = process.platform === 'linux' && spawnSync('setpriv', ['--version']).status === 0 ? ['setpriv', '--pdeathsig', 'TERM', '--'] : [];
  const [command, ...rest] = [...tether, node, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const child = spawn(command, rest, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function newerNode() {
  try {
    const path = createRequire(import.meta.url).resolve('node/bin/node');
    return existsSync(path) ? path : undefined;
  } catch {
    return undefined;
  }
}
