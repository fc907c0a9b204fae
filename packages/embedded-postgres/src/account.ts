import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { HiveError } from '@hivekeeper/contract';

/** A user of this machine, by number. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** What a server process may see: nothing of ours, and no PG* variable that would change its mind. */
export const serverEnvironment = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } as const;

const ownUser = 'hivekeeper';

/**
 * Who the server runs as: the owner of an existing cluster, else ourselves; as root, which PostgreSQL refuses, the user
 * `postgres` or else a system user of our own.
 */
export async function accountFor(clusterOwner: Account | undefined): Promise<Account> {
  const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  if (uid !== 0) {
    if (clusterOwner !== undefined && clusterOwner.uid !== uid) {
      throw new HiveError(
        'CONFIGURATION_INVALID',
        `The database belongs to uid ${clusterOwner.uid}, this process runs as uid ${uid}: start it as that user or as root.`,
      );
    }
    return { uid, gid };
  }
  if (clusterOwner !== undefined && clusterOwner.uid !== 0) return clusterOwner;
  return (await systemUser('postgres')) ?? (await systemUser(ownUser)) ?? createOwnUser();
}

async function systemUser(name: string): Promise<Account | undefined> {
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((candidate) => candidate.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

async function createOwnUser(): Promise<Account> {
  const command = ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', ownUser];
  const fault: unknown = await promisify(execFile)('useradd', command, { env: serverEnvironment }).then(
    () => undefined,
    (error: unknown) => error,
  );
  // Also after a failure: another start may have created it at the same moment.
  const account = await systemUser(ownUser);
  if (account !== undefined) return account;
  throw new HiveError(
    'DATABASE_UNAVAILABLE',
    `PostgreSQL does not run as root, and the system user ${ownUser} could not be created: create it, or start as an ordinary user.`,
    { cause: fault },
  );
}

/** True when the account may execute (for a directory: pass) `path` and pass all above it, by mode bits; access lists are not looked at. */
export async function canReach(path: string, account: Account): Promise<boolean> {
  const { uid, gid, mode } = await stat(path);
  const mayPass = uid === account.uid ? mode & 0o100 : gid === account.gid ? mode & 0o010 : mode & 0o001;
  if (mayPass === 0) return false;
  return path === dirname(path) || canReach(dirname(path), account);
}

/** Makes a directory of ours that other users can pass and not write, whatever the umask. */
export async function openDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true });
  await chmod(path, 0o711);
}
