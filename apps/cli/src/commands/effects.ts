import type { EffectState, EffectView, JsonValue, ResolveEffect } from '@hivekeeper/contract';
import { HiveError } from '@hivekeeper/contract/hive-error';
import type { Session } from '../session.ts';
import { effectsTable, effectText } from '../views/effects.ts';

/** Options of `hive effects`. */
export interface ListOptions {
  readonly state?: EffectState;
  readonly limit?: string;
}

/** `hive effects [run]` */
export async function listEffects(
  { client, output, terminal }: Session,
  run: string | undefined,
  { state, limit }: ListOptions,
): Promise<void> {
  const query = { ...(run !== undefined && { run }), ...(state !== undefined && { state }), limit: Number(limit ?? 50) };
  const effects = await client.effects(query);
  const unknown = effects.find((effect) => effect.state === 'unknown');
  const text = () => {
    if (effects.length === 0) return run === undefined ? 'No effects.' : `${run} did nothing to the world outside that it told of.`;
    return effectsTable(effects, terminal.clock.nowMs(), output);
  };
  output.show(effects, text, unknown === undefined ? undefined : `hive effects show ${unknown.id}`);
}

/** `hive effects show <id>` */
export async function showEffect({ client, output }: Session, id: string): Promise<void> {
  const effect = await client.effect(id);
  output.show(effect, () => effectText(effect, output), nextAfter(effect));
}

const nextAfter = ({ id, runId, state }: EffectView): string =>
  state === 'unknown' ? `hive effects resolve ${id} --happened, or --not-happened` : `hive run show ${runId}`;

/** Options of `hive effects resolve <id>`. */
export interface ResolveOptions {
  readonly happened?: boolean;
  readonly notHappened?: boolean;
  readonly output?: string;
  readonly note?: string;
}

/** `hive effects resolve <id>` */
export async function resolveEffect({ client, output }: Session, id: string, options: ResolveOptions): Promise<void> {
  const effect = await client.resolveEffect(id, verdictOf(id, options));
  const said = effect.state === 'confirmed' ? 'happened' : 'did not happen';
  output.show(effect, () => `${effect.id} (${effect.tool}) ${said}. A run that waits for it goes on.`, `hive run show ${effect.runId}`);
}

function verdictOf(id: string, { happened = false, notHappened = false, output, note }: ResolveOptions): ResolveEffect {
  if (happened === notHappened)
    throw new HiveError('COMMAND_INVALID', `say --happened or --not-happened; "hive effects show ${id}" tells what to look for`);
  if (notHappened && output !== undefined) throw new HiveError('COMMAND_INVALID', '--output is what an effect gave that happened');
  return { happened, ...(output !== undefined && { output: parsed(output) }), ...(note !== undefined && { notes: note }) };
}

function parsed(output: string): JsonValue {
  try {
    return JSON.parse(output) as JsonValue;
  } catch (cause) {
    throw new HiveError('COMMAND_INVALID', `--output ${output} is not JSON; text needs quotes: --output '"text"'`, { cause });
  }
}
