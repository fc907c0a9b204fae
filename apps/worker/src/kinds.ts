import { type Log, systemClock } from '@hivekeeper/kernel';
import { type ExecuteTicket, newExecutor } from './agents/attempt/index.ts';
import { newCodingKind } from './agents/coding/index.ts';
import { newContainerKind } from './agents/container/index.ts';
import { newHttpKind } from './agents/http/index.ts';
import { newProcessKind } from './agents/process/index.ts';
import type { WorkerConfig } from './config.ts';
import type { Machine } from './machine.ts';
import type { Room } from './room/index.ts';
import { newContainerRunner } from './sandbox/container/index.ts';
import { findProgram, newPlainRunner } from './sandbox/process/index.ts';

/** Where directories of agents at work lie: no other agent may be granted one. */
export interface Rooms {
  readonly sockets: Pick<Room, 'holds'>;
  readonly checkouts: Room;
}

/** Every kind of agent that a worker knows, as far as the machine has what it takes. */
export function executorOn(
  machine: Machine,
  { config, rooms, log }: { readonly config: WorkerConfig; readonly rooms: Rooms; readonly log: Log },
): ExecuteTicket {
  const { sandbox, runtimes, engine, searchPath, environment } = machine;
  const { roots, protectedDirectories, httpHosts, httpPrivate, callbackUrl } = config;
  const setprivPath = findProgram('setpriv', searchPath);
  const plain = newPlainRunner({ clock: systemClock, ...(setprivPath !== undefined && { setprivPath }) });
  const isSealed = (path: string) => rooms.sockets.holds(path) || rooms.checkouts.holds(path);
  const sources = {
    ...{ runtimes, environment, workspace: { roots, protectedDirectories, isSealed } },
    ...(sandbox.available && { sandbox: sandbox.runner }),
  };
  const egress = { allow_private: httpPrivate === 'true', ...(httpHosts !== undefined && { allowed_hosts: [...httpHosts] }) };
  return newExecutor({
    process: newProcessKind({ ...sources, plain }),
    coding: newCodingKind({ ...sources, room: rooms.checkouts, searchPath, clock: systemClock }),
    container: newContainerKind({ ...sources, run: 'engine' in engine ? newContainerRunner(engine.engine, { plain, log }) : undefined }),
    http: newHttpKind({ environment, egress, callbackUrl, clock: systemClock }),
  });
}
