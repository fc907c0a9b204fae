import { isAbsolute, resolve } from 'node:path';
import type { BackupVerification, BackupView } from '@hivekeeper/contract';
import { isErrorCode } from '@hivekeeper/contract/error-codes';
import { HiveError } from '@hivekeeper/contract/hive-error';
import { exitCodeOf } from '../failure.ts';
import type { Session } from '../session.ts';
import { tableText } from '../views/table.ts';
import { bytesText } from '../views/words.ts';
import { become, offlineCommand } from './apps.ts';

// Well below the client's own patience.
const waitMs = 20_000;

/** `hive backup create` */
export async function createBackup({ client, output, terminal }: Session, { keep }: { readonly keep?: string }): Promise<void> {
  const beganMs = terminal.clock.monotonicMs();
  let backup = await client.createBackup(keep === undefined ? {} : { keep: Number(keep) });
  while (backup.state === 'WRITING') backup = await client.backup(backup.name, { waitMs });
  if (backup.error !== undefined)
    throw new HiveError(isErrorCode(backup.error.code) ? backup.error.code : 'INTERNAL', backup.error.message);
  const seconds = ((terminal.clock.monotonicMs() - beganMs) / 1_000).toFixed(1);
  output.show(
    backup,
    () => `${backup.path}\n${backup.rowCount} rows, ${bytesText(backup.sizeBytes ?? 0)}, in ${seconds} s.`,
    `hive backup verify ${backup.name}`,
  );
}

/** `hive backup list` */
export async function listBackups({ client, output }: Session): Promise<void> {
  const backups = await client.backups();
  const table = () => tableText(['BACKUP', 'STATE', 'HOLDS', 'ROWS', 'SIZE', 'SCHEMA', 'EPOCH'], backups.map(rowOf), output.colors);
  if (backups.length === 0) output.show(backups, () => 'No backups.', 'hive backup create');
  else output.show(backups, table);
}

/** `hive backup verify <name|path>`: a name is looked for by the control plane, a path is read here, without one. */
export async function verifyBackup(session: Session, target: string, { deep }: { readonly deep?: boolean }): Promise<number> {
  const isPath = isAbsolute(target) || /[/\\]/.test(target);
  if (isPath || deep) return become(await offlineVerification(session, { target, isPath, deep: deep === true }));
  const found = await session.client.verifyBackup(target);
  session.output.show(found, () => foundText(found, session.output.colors.red));
  return found.isSound ? 0 : exitCodeOf('BACKUP_INVALID');
}

/** `hive backup restore <path>` */
export const restoreBackup = ({ terminal, output, dataDirectory }: Session, path: string): Promise<number> =>
  become(offlineCommand(['restore', resolve(terminal.workingDirectory, path), '--data', dataDirectory], output.isJson, terminal));

interface Target {
  readonly target: string;
  readonly isPath: boolean;
  readonly deep: boolean;
}

async function offlineVerification({ terminal, output, client }: Session, { target, isPath, deep }: Target) {
  const path = isPath ? resolve(terminal.workingDirectory, target) : (await client.backup(target)).path;
  return offlineCommand(['verify', path, ...(deep ? ['--deep'] : [])], output.isJson, terminal);
}

const rowOf = ({ name, state, createdAtMs, rowCount, sizeBytes, schemaVersion, epoch, error }: BackupView): string[] => [
  name,
  state,
  createdAtMs === undefined ? (error?.message ?? '') : new Date(createdAtMs).toISOString(),
  String(rowCount ?? ''),
  sizeBytes === undefined ? '' : bytesText(sizeBytes),
  String(schemaVersion ?? ''),
  String(epoch ?? ''),
];

function foundText(found: BackupVerification, red: (text: string) => string): string {
  const { isSound, faults, partCount, rowCount, auditEntryCount, unprovenEntryCount } = found;
  if (!isSound) return [red('The backup is damaged:'), ...faults.map(({ part, message }) => `  ${part}: ${message}`)].join('\n');
  const unproven = unprovenEntryCount === 0 ? '' : ` (${unprovenEntryCount} of them by their place only)`;
  return `The backup is whole: ${partCount} parts, ${rowCount} rows, a chain of ${auditEntryCount} audit entries${unproven}.`;
}
