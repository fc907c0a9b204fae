/* Program: from starting a command to having its result, for a command that does nothing: bare, in bare bubblewrap, in our sandbox. */
import { spawn } from 'node:child_process';
import { HiveError } from '@hivekeeper/contract';
import { newLog, systemClock } from '@hivekeeper/kernel';
import { closeInheritedDescriptors, type Command, probeSandbox } from '../../apps/worker/src/sandbox/process/index.ts';
import { quantile } from '../harness/statistics.ts';

/** Milliseconds, from start to result. */
export interface SandboxRound {
  readonly sampleCount: number;
  /** What the sandbox enforces with here, and what it lacks. */
  readonly mechanism: string;
  readonly bareP50Ms: number;
  readonly bubblewrapP50Ms: number;
  readonly sandboxP50Ms: number;
  readonly sandboxP99Ms: number;
  /** The same with an agent's runtime instead of `true`: `node -e 0`. */
  readonly bareNodeP50Ms: number;
  readonly sandboxNodeP50Ms: number;
}

const sampleCount = 60;
const bubblewrap = [
  'bwrap',
  '--unshare-all',
  '--die-with-parent',
  '--new-session',
  '--cap-drop',
  'ALL',
  '--ro-bind',
  '/',
  '/',
  '--proc',
  '/proc',
  '--dev',
  '/dev',
  '--',
  '/bin/true',
];

const command = (file: string, args: readonly string[]): Command => ({
  file,
  args,
  environment: { PATH: '/usr/bin:/bin' },
  workingDirectory: '/',
  stdin: '{}',
  hiddenPaths: [],
  visiblePaths: file === process.execPath ? [{ path: process.execPath, access: 'read' }] : [],
  network: false,
  limits: { memoryBytes: 512 * 1024 * 1024, cpuCores: 1, maxProcesses: 128, outputBytes: 65_536, wallTimeMs: 30_000, graceMs: 100 },
});

function spawnAndWait([file = '', ...args]: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.end('{}');
    child.stdin.on('error', () => {});
    child.stdout.resume();
    child.stderr.resume();
    child.once('error', reject);
    child.once('close', (status) => resolve(`exited ${status}`));
  });
}

// The product's timers do not keep a process alive; a worker has other things that do.
const alive = setInterval(() => {}, 1_000);
closeInheritedDescriptors();
const sandbox = await probeSandbox({
  clock: systemClock,
  log: newLog({ level: 'silent', component: 'bench' }),
  searchPath: process.env.PATH ?? '',
});

async function confined(file: string, args: readonly string[]): Promise<string> {
  if (!sandbox.available) throw new HiveError('INTERNAL', `no sandbox here: ${sandbox.reasons.join('; ')}`);
  const result = await sandbox.runner.run(command(file, args), { signal: new AbortController().signal });
  return result.kind === 'exited' ? `exited ${result.exitCode}` : `${result.kind}: ${result.stderrTail}`;
}

const ways = {
  bare: () => spawnAndWait(['/bin/true']),
  bubblewrap: () => spawnAndWait(bubblewrap),
  sandbox: () => confined('/bin/true', []),
  bareNode: () => spawnAndWait([process.execPath, '-e', '0']),
  sandboxNode: () => confined(process.execPath, ['-e', '0']),
};
const samples = Object.fromEntries(Object.keys(ways).map((name) => [name, [] as number[]])) as Record<keyof typeof ways, number[]>;
// Interleaved, so that a busy moment of the machine hits all of them.
for (let index = 0; index < sampleCount; index += 1) {
  for (const [name, way] of Object.entries(ways) as [keyof typeof ways, () => Promise<string>][]) {
    const startedAt = performance.now();
    const end = await way();
    samples[name].push(performance.now() - startedAt);
    if (end !== 'exited 0') throw new HiveError('INTERNAL', `${name}: ${end}`);
  }
}
clearInterval(alive);
const round: SandboxRound = {
  sampleCount,
  mechanism: [sandbox.mechanism, `cgroup ${sandbox.cgroup}`, ...sandbox.reasons].join('; '),
  bareP50Ms: quantile(samples.bare, 0.5),
  bubblewrapP50Ms: quantile(samples.bubblewrap, 0.5),
  sandboxP50Ms: quantile(samples.sandbox, 0.5),
  sandboxP99Ms: quantile(samples.sandbox, 0.99),
  bareNodeP50Ms: quantile(samples.bareNode, 0.5),
  sandboxNodeP50Ms: quantile(samples.sandboxNode, 0.5),
};
process.stdout.write(`${JSON.stringify(round)}\n`);
