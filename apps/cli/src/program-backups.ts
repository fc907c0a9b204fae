/** What can be typed about backups. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Act } from './act.ts';

const load = () => import('./commands/backups.ts');

const positiveInteger = (text: string): string => {
  if (/^[1-9]\d{0,3}$/.test(text)) return text;
  throw new InvalidArgumentError('expected a number from 1.');
};

/** `hive backup …` */
export function addBackups(hive: Command, act: Act): void {
  const backup = hive.command('backup').description('create, list, verify and restore backups');
  backup
    .command('list', { isDefault: true })
    .description('all backups, newest first')
    .action(act(async (session) => (await load()).listBackups(session)));
  backup
    .command('create')
    .description('write a backup of everything, while work goes on')
    .option('--keep <n>', 'then remove the oldest until so many are left', positiveInteger)
    .action(act<{ readonly keep?: string }>(async (session, options) => (await load()).createBackup(session, options)));
  backup
    .command('verify <name|path>')
    .description('read a backup from end to end; a path needs no control plane')
    .option('--deep', 'also restore it into a database that is thrown away')
    .action(
      act<{ readonly deep?: boolean }>(async (session, options, target = '') => (await load()).verifyBackup(session, target, options)),
    );
  backup
    .command('restore <path>')
    .description('fill an empty --data directory or DATABASE_URL; no control plane may run there')
    .action(act(async (session, _options, path = '') => (await load()).restoreBackup(session, path)));
}
