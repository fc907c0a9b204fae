/** What can be typed about runs. */
import { type Command, Option } from 'commander';
import { type Act, collect } from './act.ts';

const statuses = ['PENDING', 'RUNNING', 'WAITING_APPROVAL', 'SUCCESS', 'FAILED', 'CANCELLED', 'TIMED_OUT'];
const one = () => import('./commands/runs.ts');
const orders = () => import('./commands/run-orders.ts');

/** `hive run …`, for one run. */
export function addRun(hive: Command, act: Act): void {
  const run = hive
    .command('run')
    .usage('<workflow> [options]\n       hive run show|cancel|pause|resume|priority|signal|retry|fork <id>')
    .description('start a run of a workflow; show one, or give it an order');
  run
    .command('start', { isDefault: true })
    .argument('<workflow>')
    .description('start a run (the word "start" may be left out)')
    .option('--input <name=value|@file>', 'field of the context, or a JSON or YAML file of fields; repeatable', collect, [])
    .option('--watch', 'follow the run to its end; the exit status tells how it went')
    .option('--idempotency-key <key>', 'the same key and input start one run, however often it is tried')
    .action(
      act<import('./commands/runs.ts').StartOptions>(async (session, options, workflow = '') =>
        (await one()).startRun(session, workflow, options),
      ),
    );
  run
    .command('show <id>')
    .description('a run, its nodes, what they wait for and what failed')
    .action(act(async (session, _options, id = '') => (await one()).showRun(session, id)));
  addOrders(run, act);
  addSignal(run, act, 'signal <id> <name>');
  addReruns(run, act);
  run.addHelpText('after', '\nOptions of a start: hive run start --help');
  addSignal(hive, act, 'signal <run> <name>');
}

function addOrders(run: Command, act: Act): void {
  const order = (name: 'cancel' | 'pause' | 'resume', description: string) =>
    run
      .command(`${name} <id>`)
      .description(description)
      .option('--reason <text>', 'kept with the run')
      .action(
        act<{ readonly reason?: string }>(async (session, options, id = '') =>
          (await orders()).orderRun(session, id, { ...options, verb: name }),
        ),
      );
  order('cancel', 'end a run for good');
  order('pause', 'hand out nothing more of a run; what is at work goes on');
  order('resume', 'let a paused run go on');
  run
    .command('priority <id> <priority>')
    .description('give a run another priority, -100 to 100; larger is sooner')
    .option('--reason <text>', 'kept with the run')
    .action(
      act<{ readonly reason?: string }>(async (session, options, ...[id = '', priority = '']) =>
        (await orders()).reprioritiseRun(session, id, { ...options, priority }),
      ),
    );
}

function addSignal(parent: Command, act: Act, usage: string): void {
  parent
    .command(usage)
    .description('give a run a signal, to a node that waits for it or will')
    .option('--key <key>', 'only a wait without a key, or with this one, is meant')
    .option('--payload <json|@file>', 'what the node gets: JSON, text, or a JSON or YAML file')
    .option('--idempotency-key <key>', 'the same key counts once for the run, however often it is sent')
    .action(
      act<import('./commands/run-orders.ts').SignalOptions>(async (session, options, ...[id = '', name = '']) =>
        (await orders()).signalRun(session, id, { ...options, name }),
      ),
    );
}

function addReruns(run: Command, act: Act): void {
  run
    .command('retry <id>')
    .description('start a failed run again, with the same version and context')
    .option('--from-failed', 'keep what succeeded; do what failed, what had not ended, and what follows')
    .option('--watch', 'follow the new run to its end')
    .option('--idempotency-key <key>', 'the same key starts one run, however often it is tried')
    .action(
      act<import('./commands/run-orders.ts').RetryOptions>(async (session, options, id = '') =>
        (await orders()).retryRun(session, id, options),
      ),
    );
  run
    .command('fork <id> <node>')
    .description('start an ended run again from a node on; what does not depend on it is kept')
    .option('--input <name=value|@file>', 'another context, given as for a start; repeatable', collect, [])
    .option('--watch', 'follow the new run to its end')
    .option('--idempotency-key <key>', 'the same key starts one run, however often it is tried')
    .action(
      act<import('./commands/run-orders.ts').ForkOptions>(async (session, options, ...[id = '', node = '']) =>
        (await orders()).forkRun(session, id, { ...options, node }),
      ),
    );
}

/** `hive runs …`, for many. */
export function addRuns(hive: Command, act: Act): void {
  const runs = hive
    .command('runs')
    .usage('[options]\n       hive runs cancel|pause|resume|retry [options]')
    .description('list runs, newest first; give many of them an order');
  runs
    .command('list', { isDefault: true })
    .description('list runs (the word "list" may be left out)')
    .addOption(new Option('--status <status>', 'only runs that stand so').choices(statuses))
    .option('--workflow <name>', 'only runs of this workflow')
    .option('--limit <n>', 'most runs to list', '20')
    .action(act<import('./commands/runs.ts').ListOptions>(async (session, options) => (await one()).listRuns(session, options)));
  const bulk = (name: 'cancel' | 'pause' | 'resume' | 'retry', description: string) =>
    runs
      .command(name)
      .description(`${description}; shows which, then asks`)
      .addOption(new Option('--status <status>', 'only runs that stand so').choices(statuses))
      .option('--workflow <name>', 'only runs of this workflow')
      .option('--created-before <time>', 'only runs from before: 2026-01-31T12:00:00Z, or 2h ago as 2h')
      .option('--created-after <time>', 'only runs from then on')
      .option('--yes', 'do it without asking')
      .option('--expect <n>', 'do it where exactly so many match');
  const give = (verb: 'cancel' | 'pause' | 'resume' | 'retry') =>
    act<import('./commands/bulk.ts').BulkOptions>(async (session, options) =>
      (await import('./commands/bulk.ts')).orderRuns(session, { ...options, verb }),
    );
  bulk('cancel', 'end many runs for good').option('--reason <text>', 'kept with each').action(give('cancel'));
  bulk('pause', 'pause many runs').option('--reason <text>', 'kept with each').action(give('pause'));
  bulk('resume', 'let many paused runs go on').option('--reason <text>', 'kept with each').action(give('resume'));
  bulk('retry', 'start many failed runs again, each once').action(give('retry'));
  runs.addHelpText('after', '\nOptions of a list: hive runs list --help');
}
