/** API keys. */
import type { KeyRole, KeyView } from '@hivekeeper/contract';
import { HiveError } from '@hivekeeper/contract/hive-error';
import { durationOf } from '../inputs.ts';
import type { Session } from '../session.ts';
import { tableText } from '../views/table.ts';
import { agoText } from '../views/words.ts';

/** Options of `hive keys create`. */
export interface CreateOptions {
  readonly role: KeyRole;
  readonly expiresIn?: string;
}

/** `hive keys create <name>` */
export async function createKey({ client, output }: Session, name: string, { role, expiresIn }: CreateOptions): Promise<void> {
  const made = await client.createKey({ name, role, ...(expiresIn !== undefined && { expiresInMs: durationOf(expiresIn) }) });
  // The key alone on stdout: it goes into a file or a secret store, and nowhere else.
  output.show(made, () => made.key, `hive keys revoke ${name}`);
}

/** `hive keys list` */
export async function listKeys({ client, output, terminal }: Session): Promise<void> {
  const keys = await client.keys();
  const nowMs = terminal.clock.nowMs();
  const rows = () =>
    keys.map(({ id, name, role, state, createdAtMs, expiresAtMs, lastUsedAtMs }) => [
      ...[name, role, state, agoText(createdAtMs, nowMs)],
      expiresAtMs === undefined ? 'never' : new Date(expiresAtMs).toISOString().slice(0, 16),
      lastUsedAtMs === undefined ? 'never' : agoText(lastUsedAtMs, nowMs),
      id,
    ]);
  output.show(keys, () => tableText(['KEY', 'ROLE', 'STATE', 'MADE', 'EXPIRES', 'USED', 'ID'], rows(), output.colors));
}

/** Options of `hive keys rotate`. */
export interface RotateOptions {
  readonly overlap: string;
  readonly expiresIn?: string;
}

/** `hive keys rotate <key>` */
export async function rotateKey({ client, output }: Session, typed: string, { overlap, expiresIn }: RotateOptions): Promise<void> {
  const [{ id }] = await keysOf(client, typed);
  const expiry = expiresIn === undefined ? {} : { expiresInMs: durationOf(expiresIn) };
  const made = await client.rotateKey(id, { overlapMs: durationOf(overlap), ...expiry });
  output.show(made, () => made.key, 'hive keys list');
}

/** `hive keys revoke <key>` */
export async function revokeKey({ client, output }: Session, typed: string): Promise<void> {
  // By its name: also what was rotated and works yet, or a key that leaked would.
  const revoked: KeyView[] = [];
  for (const { id } of await keysOf(client, typed)) revoked.push(await client.revokeKey(id));
  const count = revoked.length === 1 ? '' : `, all ${revoked.length} keys of that name`;
  output.show(revoked, () => `${typed} is revoked${count}; nothing takes it 5 s from now.`, 'hive keys list');
}

/** The key of that id, or those of that name that still work, the newest first. */
async function keysOf(client: Session['client'], typed: string): Promise<readonly [KeyView, ...KeyView[]]> {
  const works = ({ id, name, state }: KeyView) => id === typed || (name === typed && (state === 'active' || state === 'replaced'));
  const [newest, ...others] = (await client.keys()).filter(works);
  if (newest === undefined) throw new HiveError('NOT_FOUND', `there is no key ${typed} that works`);
  return [newest, ...others];
}
