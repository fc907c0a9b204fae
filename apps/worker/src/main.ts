/**
 * A worker: pulls tickets from a control plane and runs their agents here. Logs are JSON lines on stderr.
 *
 * Ends with 0 after a drain (SIGTERM or SIGINT, at most 30 s; a second one ends everything at once), 2 where an option or
 * variable is wrong, 3 where the token is not accepted, 1 for anything else, as when the process that started it with an
 * IPC channel is gone: then every agent is killed and nothing is given back.
 */
import { closeSync, readFileSync } from 'node:fs';
import { HiveError, type RegisterWorker, type WorkerId } from '@hivekeeper/contract';
import { createClient } from '@hivekeeper/client';
import { type Log, idMaker, newLog, releaseStartMemory, systemClock, systemRandom } from '@hivekeeper/kernel';
import { type WorkerConfig, readConfig } from './config.ts';
import { executorOn } from './kinds.ts';
import { abilitiesOf, type Machine, readMachine } from './machine.ts';
import { Intake } from './intake/index.ts';
import { openRoom, temporaryBase } from './room/index.ts';
import { newDeliver } from './report/index.ts';
import { ModelRelay, openSocketRoom, serveAgent, SessionLedger } from './socket/index.ts';
import { closeInheritedDescriptors } from './sandbox/process/index.ts';

async function work(): Promise<number> {
  const config = readConfig(process.argv.slice(2), process.env);
  const token = config.tokenFd === undefined ? config.token : readToken(config.tokenFd);
  closeInheritedDescriptors();
  const log = newLog({ level: config.logLevel, component: 'worker' });
  const machine = await readMachine(log, process.env);
  const { mechanism, cgroup, reasons } = machine.sandbox;
  log.info({ mechanism, cgroup, reasons, roots: config.roots, lacks: abilitiesOf(machine).lacks }, 'machine probed');

  const workerId = idMaker(systemClock, systemRandom)('wrk') as WorkerId;
  const { worker: api } = createClient({ url: config.url, ...(token !== undefined && { token }) });
  using sockets = openSocketRoom();
  using checkouts = openRoom('checkouts', temporaryBase());
  const parts = { clock: systemClock, random: systemRandom, log };
  const execute = executorOn(machine, { config, rooms: { sockets, checkouts }, log });
  const intake = new Intake({
    ...parts,
    api,
    execute,
    openSocket: (ticket, hooks) =>
      serveAgent(sockets.makePlace(), {
        ledger: new SessionLedger({ ...parts, ...hooks, api, workerId, ticket }),
        models: new ModelRelay({ url: config.url, token, workerId, ticket, signal: hooks.signal }),
      }),
    deliver: newDeliver({ ...parts, api, workerId }),
    registration: registrationOf(config, workerId, machine),
  });
  const wasAbandoned = leaveOnRequest(intake, log);
  releaseStartMemory();
  await intake.run();
  log.info({ workerId }, 'worker ends');
  return wasAbandoned() ? 1 : 0;
}

function readToken(descriptor: number): string {
  const token = readFileSync(descriptor, 'utf8').trim();
  if (descriptor > 2) closeSync(descriptor);
  return token;
}

function registrationOf({ name, parallel, labels }: WorkerConfig, workerId: WorkerId, machine: Machine): RegisterWorker {
  const { capabilities, lacks } = abilitiesOf(machine);
  return { workerId, name, capabilities: [...new Set([...capabilities, ...labels])], lacks, maxParallel: parallel };
}

/** First request: drain. Second, or a parent that is gone: now. */
function leaveOnRequest(intake: Intake, log: Log): () => boolean {
  let requestCount = 0;
  let wasAbandoned = false;
  const abandon = (reason: string) => {
    wasAbandoned = true;
    log.warn({ reason }, 'ending at once');
    intake.abandon();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      requestCount += 1;
      if (requestCount > 1) return abandon(`a second ${signal}`);
      log.info({ signal }, 'draining');
      intake.drain();
    });
  }
  process.on('disconnect', () => abandon('the parent process is gone'));
  // It may have gone while the sandbox was probed.
  if (process.send !== undefined && !process.connected) abandon('the parent process is gone');
  return () => wasAbandoned;
}

// Timers do not keep the process alive; while an agent is cleaned up after, nothing else may.
const keepAlive = setInterval(() => undefined, 60_000);
try {
  process.exitCode = await work();
} catch (error) {
  const { code, exitCode } = HiveError.is(error) ? { code: error.code, exitCode: error.entry.exitCode } : { code: 'INTERNAL', exitCode: 1 };
  newLog({ level: 'fatal', component: 'worker' }).fatal({ code, err: error }, 'the worker cannot go on');
  process.exitCode = exitCode;
}
clearInterval(keepAlive);
// Not left to the event loop: a kept-alive connection would hold it for seconds.
process.exit();
