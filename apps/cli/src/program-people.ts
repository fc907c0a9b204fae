/** What can be typed about what waits for people: approvals, and tickets that failed for good. */
import { type Command, Option } from 'commander';
import type { Act } from './act.ts';

const statuses = ['PENDING', 'APPROVED', 'REJECTED', 'EXPIRED', 'CANCELLED', 'ALL'];
const approvals = () => import('./commands/approvals.ts');
const dead = () => import('./commands/dead.ts');

/** `hive approvals …`, `hive approve` and `hive reject`. */
export function addApprovals(hive: Command, act: Act): void {
  const group = hive.command('approvals').description('what waits for a person: list, show, make links');
  group
    .command('list', { isDefault: true })
    .description('what waits for a person (the word "list" may be left out)')
    .addOption(new Option('--status <status>', 'which to list').choices(statuses).default('PENDING'))
    .action(act<{ readonly status: 'PENDING' | 'ALL' }>(async (session, options) => (await approvals()).listApprovals(session, options)));
  group
    .command('show <id>')
    .description('one approval with what the agent will be given, secrets redacted')
    .action(act(async (session, _options, id = '') => (await approvals()).showApproval(session, id)));
  group
    .command('link <id>')
    .description('make a signed link by which whoever has it decides, once')
    .option('--expires-after <duration>', 'such as 30min, 2h or 1d; never later than the approval (default)')
    .action(
      act<{ readonly expiresAfter?: string }>(async (session, options, id = '') => (await approvals()).linkApproval(session, id, options)),
    );
  const decision = (name: string, description: string, verdict: 'APPROVED' | 'REJECTED') =>
    hive
      .command(`${name} <id>`)
      .description(description)
      .option('--note <text>', 'kept with the decision')
      .option('--input-sha256 <hash>', 'decide only about this input; hive approvals show tells it')
      .action(
        act<import('./commands/approvals.ts').DecideOptions>(async (session, options, id = '') =>
          (await approvals()).decide(session, id, { ...options, decision: verdict }),
        ),
      );
  decision('approve', 'let a node act', 'APPROVED');
  decision('reject', 'refuse a node; its run fails', 'REJECTED');
}

/** `hive dead …`. */
export function addDeadTickets(hive: Command, act: Act): void {
  const group = hive.command('dead').description('tickets that failed for good: list, show, redrive, discard');
  group
    .command('list', { isDefault: true })
    .description('dead tickets, newest run first')
    .addOption(new Option('--state <state>', 'which to list').choices(['open', 'resolved', 'all']).default('open'))
    .option('--workflow <name>', 'only those of this workflow')
    .option('--limit <n>', 'most to list', '20')
    .action(act<import('./commands/dead.ts').ListOptions>(async (session, options) => (await dead()).listDead(session, options)));
  group
    .command('show <ticket>')
    .description('a dead ticket with its evidence')
    .action(act(async (session, _options, id = '') => (await dead()).showDead(session, id)));
  group
    .command('redrive <ticket>')
    .description('start a run that goes on from what failed the ticket’s run')
    .option('--watch', 'follow the new run to its end')
    .action(act<{ readonly watch?: boolean }>(async (session, options, id = '') => (await dead()).redriveDead(session, id, options)));
  group
    .command('discard <ticket>')
    .description('say that nothing will be done')
    .requiredOption('--reason <text>', 'why; kept with the ticket')
    .action(act<{ readonly reason: string }>(async (session, options, id = '') => (await dead()).discardDead(session, id, options)));
}
