/** What can be typed about schedules and events. */
import { type Command, Option } from 'commander';
import { type Act, collect } from './act.ts';

/** Schedules: when runs begin by themselves. */
export function addSchedules(hive: Command, act: Act): void {
  const schedules = hive.command('schedules').description('list, make, pause and preview schedules');
  const load = () => import('./commands/schedules.ts');
  schedules
    .command('list', { isDefault: true })
    .description('all schedules')
    .option('--workflow <name>', 'only schedules of this workflow')
    .action(act<{ readonly workflow?: string }>(async (session, options) => (await load()).listSchedules(session, options)));
  schedules
    .command('show <name>')
    .description('a schedule, and what became of its last instants')
    .action(act(async (session, _options, name = '') => (await load()).showSchedule(session, name)));
  schedules
    .command('create <name>')
    .description('start a workflow again and again')
    .requiredOption('--workflow <name>', 'what to start')
    .requiredOption('--cron <expression>', 'five fields such as "0 7 * * MON-FRI" (six with seconds first), or a name such as @daily')
    .option('--time-zone <zone>', 'whose clock the expression is about (default UTC)')
    .addOption(new Option('--catch-up <policy>', 'which missed instants are made up for (default last)').choices(['none', 'last', 'all']))
    .addOption(
      new Option('--overlap <policy>', 'what to do while the run before goes on (default skip)').choices([
        'allow',
        'skip',
        'queue',
        'replace',
      ]),
    )
    .option('--jitter-ms <n>', 'serve each instant up to this much later')
    .option('--input <name=value|@file>', 'field of each run’s context, or a JSON or YAML file of fields; repeatable', collect, [])
    .action(
      act<import('./commands/schedules.ts').CreateOptions>(async (session, options, name = '') =>
        (await load()).createSchedule(session, name, options),
      ),
    );
  schedules
    .command('pause <name>')
    .description('serve nothing of a schedule until it is resumed')
    .option('--reason <text>', 'kept with the schedule')
    .action(act<{ readonly reason?: string }>(async (session, options, name = '') => (await load()).pauseSchedule(session, name, options)));
  schedules
    .command('resume <name>')
    .description('let a paused schedule go on from now')
    .action(act(async (session, _options, name = '') => (await load()).resumeSchedule(session, name)));
  schedules
    .command('delete <name>')
    .description('remove a schedule; its runs stay')
    .action(act(async (session, _options, name = '') => (await load()).deleteSchedule(session, name)));
  schedules
    .command('preview <name>')
    .description('the next instants of a schedule')
    .option('--count <n>', 'how many', '10')
    .action(act<{ readonly count: string }>(async (session, options, name = '') => (await load()).previewSchedule(session, name, options)));
}

/** Events: what moves runs on from outside. */
export function addEvents(hive: Command, act: Act): void {
  hive
    .command('publish <type>')
    .description('publish an event to every run that waits for it, or will')
    .option('--key <key>', 'which of them: only nodes that wait for this key get it')
    .option('--payload <json|text|@file>', 'what the waiting node gives as its output')
    .option('--event-id <id>', 'your own name for it: the same again is no news')
    .action(
      act<import('./commands/events.ts').PublishOptions>(async (session, options, type = '') =>
        (await import('./commands/events.ts')).publish(session, type, options),
      ),
    );
  hive
    .command('events')
    .description('list events of the last 30 days, newest first')
    .option('--type <type>', 'only events of this type')
    .option('--key <key>', 'only events with this key')
    .option('--limit <n>', 'most events to list', '20')
    .action(
      act<import('./commands/events.ts').ListOptions>(async (session, options) =>
        (await import('./commands/events.ts')).listEvents(session, options),
      ),
    );
}
