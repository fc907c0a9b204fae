/** What can be typed about models. */
import { type Command, Option } from 'commander';
import type { Act } from './act.ts';

/** `hive costs`. */
export function addCosts(hive: Command, act: Act): void {
  hive
    .command('costs')
    .description('what calls of models cost, by model, run or day')
    .addOption(new Option('--by <what>', 'one line for each').choices(['model', 'run', 'day']).default('model'))
    .option('--days <n>', 'of the last so many days, at most 90', '30')
    .action(
      act<import('./commands/costs.ts').CostsOptions>(async (session, options) =>
        (await import('./commands/costs.ts')).showCosts(session, options),
      ),
    );
}
