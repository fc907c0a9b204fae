import { HiveError } from '@hivekeeper/contract/hive-error';
import type { Session } from '../session.ts';
import { changeLine, discoveredTable, instancesTable, instanceText } from '../views/instance.ts';

/** Options of `hive registry list`. */
export interface ListOptions {
  readonly kind?: 'agent' | 'worker';
  readonly health?: 'healthy' | 'degraded' | 'unhealthy' | 'gone';
  readonly capability?: string;
  readonly namespace?: string;
}

/** `hive registry list` */
export async function listInstances({ client, output, terminal }: Session, options: ListOptions): Promise<void> {
  const { kind, health, capability, namespace } = options;
  const instances = await client.instances({ kind, health, capability, namespace });
  output.show(instances, () =>
    instances.length === 0
      ? 'Nobody is registered.\n\nNext: hive worker --url <url>'
      : instancesTable(instances, terminal.clock.nowMs(), output.colors),
  );
}

/** `hive registry show <id>` */
export async function showInstance({ client, output, terminal }: Session, id: string): Promise<void> {
  const instance = await client.instance(id);
  output.show(instance, () => instanceText(instance, terminal.clock.nowMs(), output.colors));
}

/** Options of `hive registry discover`. */
export interface DiscoverOptions {
  readonly kind?: 'agent' | 'worker';
  readonly namespace?: string;
  readonly role?: string;
  readonly metadata: readonly string[];
  readonly limit: string;
}

/** `hive registry discover [capability...]` */
export async function discoverInstances({ client, output }: Session, options: DiscoverOptions, capabilities: string[]): Promise<void> {
  const { kind, namespace, role, metadata, limit } = options;
  const filter = { kind, namespace, role, metadata: Object.fromEntries(metadata.map(pairOf)) };
  const found = await client.discover({ capabilities, filter, limit: Number(limit) });
  output.show(found, () =>
    found.instances.length === 0
      ? 'Nobody who lives and takes new work can do that.\n\nNext: hive registry list'
      : discoveredTable(found, output.colors),
  );
}

function pairOf(text: string): readonly [string, string] {
  const [name = '', ...rest] = text.split('=');
  if (name === '' || rest.length === 0) throw new HiveError('COMMAND_INVALID', `--metadata ${text}: expected name=value`);
  return [name, rest.join('=')];
}

/** `hive registry watch` */
export async function watchInstances({ client, output }: Session): Promise<void> {
  for await (const change of client.instanceChanges()) {
    output.record(change);
    output.say(changeLine(change, output.colors));
  }
}

/** What can be ordered of an instance. */
export type Verb = 'cordon' | 'uncordon' | 'drain';
const done: Readonly<Record<Verb, string>> = {
  cordon: 'gets nothing new.',
  uncordon: 'gets work again.',
  drain: 'finishes what it has, and leaves.',
};

/** `hive registry cordon|uncordon|drain <id>` */
export async function orderInstance(
  { client, output }: Session,
  { id, verb, reason }: { readonly id: string; readonly verb: Verb; readonly reason?: string },
): Promise<void> {
  const instance = await client[verb](id, reason);
  output.show(instance, () => `${instance.name} ${done[verb]}\n\nNext: hive registry show ${id}`);
}

/** `hive registry deregister <id>` */
export async function deregisterInstance({ client, output }: Session, id: string): Promise<void> {
  await client.deregister(id);
  output.show({ deregistered: id }, () => `${id} is registered no more.`);
}
