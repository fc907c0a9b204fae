import { open, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises'; // unlike the kernel's, it keeps the process alive: nothing else may at start
import { HiveError } from '@hivekeeper/contract';
import { type Log, systemClock, isProcessAlive } from '@hivekeeper/kernel';

// Fast shutdown rolls back and writes a checkpoint; immediate leaves that to recovery; killing needs no consent.
const attempts = [
  { signal: 'SIGINT', patienceMs: 10_000 },
  { signal: 'SIGQUIT', patienceMs: 5_000 },
  { signal: 'SIGKILL', patienceMs: 5_000 },
] as const;
const pollMs = 5;

/**
 * Ends every process that still works in the cluster – a postmaster whose owner died, or the backends of a postmaster that died – and
 * sees to it that a pid file whose number belongs to somebody else by now does not keep the next postmaster from starting.
 *
 * Every PostgreSQL process has the cluster as its working directory, which no stranger can imitate by accident. Where there is no
 * /proc, PostgreSQL's own check of the pid file and of shared memory must do.
 */
export async function clearOrphans(cluster: string, log: Log): Promise<void> {
  const pidFile = join(cluster, 'postmaster.pid');
  const postmasterPid = await readFile(pidFile, 'utf8').then(
    (content) => Number(content.split('\n')[0]),
    () => undefined,
  );
  if (postmasterPid === undefined || process.platform !== 'linux') return;
  for (const { signal, patienceMs } of attempts) {
    const pids = await processesIn(cluster);
    if (pids.length === 0) break;
    const hasPostmaster = pids.includes(postmasterPid);
    // To a backend it means no more than to cancel its query.
    if (signal === 'SIGINT' && !hasPostmaster) continue;
    log.warn({ pids, signal }, 'ending a PostgreSQL that an earlier process left behind');
    const targets = hasPostmaster && signal !== 'SIGKILL' ? [postmasterPid] : pids;
    for (const pid of targets) signalProcess(pid, signal);
    await emptied(cluster, patienceMs);
  }
  const left = await processesIn(cluster);
  if (left.length > 0)
    throw new HiveError('DATA_DIRECTORY_IN_USE', `Processes ${left.join(', ')} still work in ${cluster} and cannot be ended.`);
  if (isProcessAlive(postmasterPid)) await disown(pidFile);
}

/**
 * Puts our own pid in the place of the stranger's: for the parent of a postmaster that is one that cannot be meant. The
 * other lines must stay, for the next postmaster finds in them the shared memory that it has to remove.
 */
async function disown(pidFile: string): Promise<void> {
  const lines = (await readFile(pidFile, 'utf8').catch(() => '')).split('\n').slice(1);
  if (lines.length === 0) return;
  // A new file, not a changed one: as root we must not write through a link that the server's user could have put there.
  await rm(pidFile);
  await using file = await open(pidFile, 'wx');
  await file.chmod(0o644);
  await file.writeFile([process.pid, ...lines].join('\n'));
}

async function emptied(cluster: string, patienceMs: number): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + patienceMs;
  while (systemClock.monotonicMs() < deadlineMs && (await processesIn(cluster)).length > 0) await wait(pollMs);
}

async function processesIn(cluster: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const isOurs = await Promise.all(
    pids.map(async (pid) => {
      const place = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
      // By name too: a person's shell may stand in the same directory.
      return place === cluster && (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim() === 'postgres';
    }),
  );
  return pids.filter((_, index) => isOurs[index]);
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended meanwhile; the next look tells.
  }
}
