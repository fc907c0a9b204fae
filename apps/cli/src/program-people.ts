/** What can be typed about what waits for people: approvals, tickets that failed for good, effects nobody knows the end of. */
import { type Command, Option } from 'commander';
import type { Act } from './act.ts';

const statuses = ['PENDING', 'APPROVED', 'REJECTED', 'EXPIRED', 'CANCELLED', 'ALL'];
const approvals = () => import('./commands/approvals.ts');
const dead = () => import('./commands/dead.ts');
const effects = () => import('./commands/effects.ts');

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

/** `hive breakers …`. */
export function addBreakers(hive: Command, act: Act): void {
  const group = hive.command('breakers').description('what stops agents that fail too often: list, close, open');
  const breakers = () => import('./commands/breakers.ts');
  group
    .command('list', { isDefault: true })
    .description('breakers of agents and of what they depend on')
    .action(act(async (session) => (await breakers()).listBreakers(session)));
  group
    .command('close <breaker>')
    .description('let tickets start again that wait for agent:<name> or dependency:<name>')
    .action(act(async (session, _options, id = '') => (await breakers()).closeBreaker(session, id)));
  group
    .command('open <breaker>')
    .description('start nothing that needs it, for a while')
    .option('--for <duration>', 'until one ticket tries, such as 10min; at most 24h', '30min')
    .option('--reason <text>', 'why; hive why shows it')
    .action(
      act<import('./commands/breakers.ts').OpenOptions>(async (session, options, id = '') =>
        (await breakers()).openBreaker(session, id, options),
      ),
    );
}

/** `hive keys …`. */
export function addKeys(hive: Command, act: Act): void {
  const group = hive.command('keys').description('API keys: create, list, rotate, revoke');
  const keys = () => import('./commands/keys.ts');
  const expiry = () => new Option('--expires-in <duration>', 'it ends by itself after so long, such as 90d');
  group
    .command('list', { isDefault: true })
    .description('keys, also those that ended; never themselves')
    .action(act(async (session) => (await keys()).listKeys(session)));
  group
    .command('create <name>')
    .description('make a key; it is printed once, and kept nowhere')
    .addOption(
      new Option('--role <role>', 'what it may do (docs/access.md)')
        .choices(['viewer', 'operator', 'approver', 'admin', 'worker', 'agent', 'webhook'])
        .makeOptionMandatory(),
    )
    .addOption(expiry())
    .action(
      act<import('./commands/keys.ts').CreateOptions>(async (session, options, name = '') =>
        (await keys()).createKey(session, name, options),
      ),
    );
  group
    .command('rotate <key>')
    .description('make another key of the name; the one before works for a while yet')
    .option('--overlap <duration>', 'for how long', '1d')
    .addOption(expiry())
    .action(
      act<import('./commands/keys.ts').RotateOptions>(async (session, options, name = '') =>
        (await keys()).rotateKey(session, name, options),
      ),
    );
  group
    .command('revoke <key>')
    .description('end a key by its name or id')
    .action(act(async (session, _options, name = '') => (await keys()).revokeKey(session, name)));
}

/** `hive budgets …`. */
export function addBudgets(hive: Command, act: Act): void {
  const group = hive.command('budgets').description('what may be spent: list, set, remove');
  const budgets = () => import('./commands/budgets.ts');
  const per = () =>
    new Option('--per <period>', 'from when on is counted; days and months are those of UTC')
      .choices(['day', 'month', 'total'])
      .makeOptionMandatory();
  group
    .command('list', { isDefault: true })
    .description('budgets, with what of them is spent and reserved')
    .action(act(async (session) => (await budgets()).listBudgets(session)));
  group
    .command('set <whose>')
    .description('cap tenant, workflow:<name>, agent:<name>, run:<id> or key:<subject>')
    .addOption(per())
    .requiredOption('--usd <dollars>', 'US dollars such as 20 or 0.05')
    .action(
      act<import('./commands/budgets.ts').PeriodOption & { readonly usd: string }>(async (session, options, whose = '') =>
        (await budgets()).setBudget(session, whose, options),
      ),
    );
  group
    .command('remove <whose>')
    .description('limit it no more')
    .addOption(per())
    .action(
      act<import('./commands/budgets.ts').PeriodOption>(async (session, options, whose = '') =>
        (await budgets()).removeBudget(session, whose, options),
      ),
    );
}

/** `hive effects …`. */
export function addEffects(hive: Command, act: Act): void {
  const group = hive.command('effects').description('what runs did to the world outside: list, show, resolve');
  group
    .command('list', { isDefault: true })
    .argument('[run]')
    .description('effects of a run, or of all, oldest first (the word "list" may be left out)')
    .addOption(new Option('--state <state>', 'only effects that stand so').choices(['intended', 'dispatched', 'confirmed', 'unknown']))
    .option('--limit <n>', 'most to list', '50')
    .action(
      act<import('./commands/effects.ts').ListOptions>(async (session, options, run?: string) =>
        (await effects()).listEffects(session, run, options),
      ),
    );
  group
    .command('show <id>')
    .description('an effect, whole')
    .action(act(async (session, _options, id = '') => (await effects()).showEffect(session, id)));
  group
    .command('resolve <id>')
    .description('say what became of an unknown effect; a run that waits for it goes on')
    .option('--happened', 'it did happen: it is not made again')
    .option('--not-happened', 'it did not happen: it is made when the run goes on')
    .option('--output <json>', 'what it gave, as the agent expects it')
    .option('--note <text>', 'kept with the effect')
    .action(
      act<import('./commands/effects.ts').ResolveOptions>(async (session, options, id = '') =>
        (await effects()).resolveEffect(session, id, options),
      ),
    );
}
