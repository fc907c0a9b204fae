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
import { newExecutor } from './agents/attempt/index.ts';
import { newCodingKind } from './agents/coding/index.ts';
import { newHttpKind } from './agents/http/index.ts';
import { type Runtimes, findRuntimes, newProcessKind } from './agents/process/index.ts';
import { type WorkerConfig, readConfig } from './config.ts';
import { Intake } from './intake/index.ts';
import { openRoom, temporaryBase } from './room/index.ts';
import { newDeliver } from './report/index.ts';
import { ModelRelay, openSocketRoom, serveAgent, SessionLedger } from './socket/index.ts';
import { type SandboxProbe, closeInheritedDescriptors, findProgram, newPlainRunner, probeSandbox } from './sandbox/process/index.ts';

async function work(): Promise<number> {
  const config = readConfig(process.argv.slice(2), process.env);
  const token = config.tokenFd === undefined ? config.token : readToken(config.tokenFd);
  closeInheritedDescriptors();
  const log = newLog({ level: config.logLevel, component: 'worker' });
  const searchPath = process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
  const [probe, runtimes] = await Promise.all([probeSandbox({ clock: systemClock, log, searchPath }), findRuntimes(searchPath)]);
  log.info({ mechanism: probe.mechanism, cgroup: probe.cgroup, reasons: probe.reasons, roots: config.roots }, 'sandbox probed');

  const workerId = idMaker(systemClock, systemRandom)('wrk') as WorkerId;
  const { worker: api } = createClient({ url: config.url, ...(token !== undefined && { token }) });
  using room = openSocketRoom();
  const setprivPath = findProgram('setpriv', searchPath);
  const parts = { clock: systemClock, random: systemRandom, log };
  using checkouts = openRoom('checkouts', temporaryBase());
  const sources = {
    ...{ runtimes, environment: process.env },
    workspace: {
      ...{ roots: config.roots, protectedDirectories: config.protectedDirectories },
      isSealed: (path: string) => room.holds(path) || checkouts.holds(path),
    },
    ...(probe.available && { sandbox: probe.runner }),
  };
  const execute = newExecutor({
    process: newProcessKind({
      ...sources,
      plain: newPlainRunner({ clock: systemClock, ...(setprivPath !== undefined && { setprivPath }) }),
    }),
    coding: newCodingKind({ ...sources, room: checkouts, searchPath, clock: systemClock }),
    http: newHttpKind({
      ...{ environment: process.env, clock: systemClock, callbackUrl: config.callbackUrl },
      egress: {
        allow_private: config.httpPrivate === 'true',
        ...(config.httpHosts !== undefined && { allowed_hosts: [...config.httpHosts] }),
      },
    }),
  });
  const intake = new Intake({
    ...parts,
    api,
    execute,
    openSocket: (ticket, hooks) =>
      serveAgent(room.makePlace(), {
        ledger: new SessionLedger({ ...parts, ...hooks, api, workerId, ticket }),
        models: new ModelRelay({ url: config.url, token, workerId, ticket, signal: hooks.signal }),
      }),
    deliver: newDeliver({ ...parts, api, workerId }),
    registration: registrationOf(config, workerId, { probe, runtimes }),
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

function registrationOf(
  { name, parallel, labels }: WorkerConfig,
  workerId: WorkerId,
  { probe, runtimes }: { readonly probe: SandboxProbe; readonly runtimes: Runtimes },
): RegisterWorker {
  const capabilities = [
    ...['node', 'exec', 'http'],
    ...(runtimes.python === undefined ? [] : ['python']),
    ...(probe.available ? ['sandbox'] : []),
    ...(probe.available && findProgram('git', '/usr/local/bin:/usr/bin:/bin') !== undefined ? ['coding'] : []),
    ...(probe.cgroup === 'none' ? [] : ['cgroup']),
    ...labels,
  ];
  return { workerId, name, capabilities: [...new Set(capabilities)], maxParallel: parallel };
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
