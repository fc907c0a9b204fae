/** What can be typed about agents and workers that run. */
import { type Command, Option } from 'commander';
import { type Act, collect } from './act.ts';

/** The registry: who runs, who can do what, who takes new work. */
export function addRegistry(hive: Command, act: Act): void {
  const registry = hive.command('registry').description('agents and workers that run: list, find, watch, cordon, drain');
  addLooking(registry, act);
  addOrders(registry, act);
}

const load = () => import('./commands/registry.ts');

function addLooking(registry: Command, act: Act): void {
  registry
    .command('list', { isDefault: true })
    .description('everybody who is registered as running, also those that are gone')
    .addOption(new Option('--kind <kind>', 'only agents, or only workers').choices(['agent', 'worker']))
    .addOption(new Option('--health <health>', 'only those that fare so').choices(['healthy', 'degraded', 'unhealthy', 'gone']))
    .option('--capability <name>', 'only those that can do this')
    .option('--namespace <name>', 'only those of this namespace')
    .action(act<import('./commands/registry.ts').ListOptions>(async (session, options) => (await load()).listInstances(session, options)));
  registry
    .command('show <id>')
    .description('one of them, whole')
    .action(act(async (session, _options, id = '') => (await load()).showInstance(session, id)));
  registry
    .command('discover [capability...]')
    .description('who can do all of this, lives, and takes new work: the best first, with the reasons')
    .option('--kind <kind>', 'only agents, or only workers')
    .option('--namespace <name>', 'only those of this namespace')
    .option('--role <name>', 'only agents of this role')
    .option('--metadata <name=value>', 'only those that say this of themselves; repeatable', collect, [])
    .option('--limit <n>', 'most to list', '10')
    .action(
      act<import('./commands/registry.ts').DiscoverOptions>(async (session, options, ...capabilities) =>
        (await load()).discoverInstances(session, options, capabilities.flat()),
      ),
    );
  registry
    .command('watch')
    .description('what becomes of them, as it happens, until Ctrl-C')
    .action(act(async (session) => (await load()).watchInstances(session)));
}

function addOrders(registry: Command, act: Act): void {
  const reason = ['--reason <text>', 'kept with the order'] as const;
  const order = (verb: import('./commands/registry.ts').Verb, description: string) =>
    registry
      .command(`${verb} <id>`)
      .description(description)
      .option(...reason)
      .action(
        act<{ readonly reason?: string }>(async (session, options, id = '') =>
          (await load()).orderInstance(session, { id, verb, ...options }),
        ),
      );
  order('cordon', 'give it nothing new');
  order('uncordon', 'let it get work again');
  order('drain', 'let it finish what it has, and leave');
  registry
    .command('deregister <id>')
    .description('take it out')
    .action(act(async (session, _options, id = '') => (await load()).deregisterInstance(session, id)));
}
