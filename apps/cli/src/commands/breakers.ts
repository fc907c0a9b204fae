/** Breakers of agents and of what they depend on. */
import type { BreakerSubject } from '@hivekeeper/contract';
import { HiveError } from '@hivekeeper/contract/hive-error';
import { durationOf } from '../inputs.ts';
import type { Session } from '../session.ts';
import { breakerText } from '../views/breaker.ts';
import { tableText } from '../views/table.ts';
import { agoText, cutText } from '../views/words.ts';

/** `hive breakers list` */
export async function listBreakers({ client, output, terminal }: Session): Promise<void> {
  const breakers = await client.breakers();
  const nowMs = terminal.clock.nowMs();
  const rows = () =>
    breakers.map((breaker) => {
      const { kind, name, agents, sinceAtMs, cause = '' } = breaker;
      const since = sinceAtMs === undefined ? '' : agoText(sinceAtMs, nowMs);
      return [`${kind}:${name}`, breakerText(breaker, nowMs), since, kind === 'agent' ? '' : agents.join(' '), cutText(cause, 60)];
    });
  if (breakers.length === 0) output.show(breakers, () => 'No breakers.');
  else output.show(breakers, () => tableText(['BREAKER', 'STATE', 'SINCE', 'AGENTS', 'CAUSE'], rows(), output.colors));
}

/** `hive breakers close <breaker>` */
export async function closeBreaker({ client, output }: Session, typed: string): Promise<void> {
  const breaker = await client.setBreaker(subjectIn(typed), { state: 'closed' });
  output.show(breaker, () => `${typed} is closed; what waited for it goes on.`, 'hive breakers');
}

/** Options of `hive breakers open`. */
export interface OpenOptions {
  readonly for: string;
  readonly reason?: string;
}

/** `hive breakers open <breaker>` */
export async function openBreaker({ client, output }: Session, typed: string, options: OpenOptions): Promise<void> {
  const { for: duration, reason } = options;
  const order = { state: 'open' as const, forMs: durationOf(duration), ...(reason !== undefined && { reason }) };
  const breaker = await client.setBreaker(subjectIn(typed), order);
  const stopped = breaker.agents.join(', ');
  output.show(breaker, () => `${typed} is open for ${duration}: nothing of ${stopped} is started.`, `hive breakers close ${typed}`);
}

function subjectIn(typed: string): BreakerSubject {
  const [, kind, name] = /^(agent|dependency):(.+)$/.exec(typed) ?? [];
  if (kind === undefined || name === undefined)
    throw new HiveError('COMMAND_INVALID', `${typed}: expected agent:<name> or dependency:<name>, as hive breakers lists them`);
  return { kind: kind as BreakerSubject['kind'], name };
}
