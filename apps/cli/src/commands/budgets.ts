/** Budgets: what may be spent, and what is left. */
import type { BudgetScope, BudgetView } from '@hivekeeper/contract';
import { HiveError } from '@hivekeeper/contract/hive-error';
import type { Session } from '../session.ts';
import { tableText } from '../views/table.ts';
import { durationText } from '../views/words.ts';

/** `hive budgets list` */
export async function listBudgets({ client, output, terminal }: Session): Promise<void> {
  const budgets = await client.budgets();
  const nowMs = terminal.clock.nowMs();
  const head = ['BUDGET', 'PER', 'CAP', 'SPENT', 'RESERVED', 'LEFT', 'AN HOUR', 'USED UP', 'BEGINS ANEW'];
  const inTime = (atMs: number | undefined) => (atMs === undefined ? '' : `in ${durationText(atMs - nowMs)}`);
  const rows = () =>
    budgets.map(({ capMicroUsd, settledMicroUsd, reservedMicroUsd, leftMicroUsd, burnMicroUsdPerHour, ...budget }) => [
      ...[nameOf(budget), budget.period],
      ...[capMicroUsd, settledMicroUsd, reservedMicroUsd, leftMicroUsd, burnMicroUsdPerHour].map(dollars),
      ...[inTime(budget.exhaustedAtMs), inTime(budget.turnsAtMs)],
    ]);
  if (budgets.length === 0)
    output.show(budgets, () => 'No budgets: nothing caps what is spent.', 'hive budgets set tenant --per day --usd 50');
  else output.show(budgets, () => tableText(head, rows(), output.colors));
}

/** Options that say which of a subject's budgets. */
export interface PeriodOption {
  readonly per: BudgetView['period'];
}

/** `hive budgets set <whose>` */
export async function setBudget(
  { client, output }: Session,
  typed: string,
  { per, usd }: PeriodOption & { readonly usd: string },
): Promise<void> {
  const budget = await client.setBudget({ ...subjectIn(typed), period: per, capMicroUsd: microUsdIn(usd) });
  output.show(budget, () => `${nameOf(budget)} may spend ${dollars(budget.capMicroUsd)} per ${per}.`, 'hive budgets');
}

/** `hive budgets remove <whose>` */
export async function removeBudget({ client, output }: Session, typed: string, { per }: PeriodOption): Promise<void> {
  const { scope, name } = subjectIn(typed);
  const found = (await client.budgets()).find((budget) => budget.scope === scope && budget.name === name && budget.period === per);
  if (found === undefined) throw new HiveError('NOT_FOUND', `${typed} has no budget per ${per}`);
  await client.removeBudget(found.id);
  output.show({ removed: typed, per }, () => `${typed} has no budget per ${per} any more.`, 'hive budgets');
}

const nameOf = ({ scope, name }: Pick<BudgetView, 'scope' | 'name'>): string => (name === '' ? scope : `${scope}:${name}`);
const dollars = (microUsd: number): string => `$${(microUsd / 1_000_000).toFixed(Math.abs(microUsd) < 10_000 && microUsd !== 0 ? 6 : 2)}`;

function subjectIn(typed: string): Pick<BudgetView, 'scope' | 'name'> {
  const [, scope, name] = /^(tenant$|(?:workflow|agent|run|key)(?=:.))(?::(.+))?$/.exec(typed) ?? [];
  if (scope === undefined)
    throw new HiveError('COMMAND_INVALID', `${typed}: expected tenant, workflow:<name>, agent:<name>, run:<id> or key:<subject>`);
  return { scope: scope as BudgetScope, name: name ?? '' };
}

/** Dollars with at most six decimals, exactly. */
function microUsdIn(typed: string): number {
  const [, whole, fraction = ''] = /^(\d{1,9})(?:\.(\d{1,6}))?$/.exec(typed) ?? [];
  if (whole === undefined) throw new HiveError('COMMAND_INVALID', `${typed}: expected US dollars such as 20 or 0.05`);
  return Number(whole) * 1_000_000 + Number(fraction.padEnd(6, '0'));
}
