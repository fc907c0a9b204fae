import type { PublishEvent } from '@hivekeeper/contract';
import { payloadOf } from '../inputs.ts';
import type { Session } from '../session.ts';
import { tableText } from '../views/table.ts';
import { agoText, cutText } from '../views/words.ts';

/** Options of `hive publish`. */
export interface PublishOptions {
  readonly key?: string;
  readonly payload?: string;
  readonly eventId?: string;
}

/** `hive publish <type>` */
export async function publish({ client, output, terminal }: Session, type: string, options: PublishOptions): Promise<void> {
  const { key, eventId } = options;
  const payload = options.payload === undefined ? null : await payloadOf(options.payload, terminal.workingDirectory);
  const event: PublishEvent = { type, payload, ...(key !== undefined && { key }), ...(eventId !== undefined && { eventId }) };
  const published = await client.publish(event);
  const { id, waitingRunCount } = published;
  const who =
    waitingRunCount === 0
      ? 'no run waited for it'
      : waitingRunCount === 1
        ? 'one run waited for it'
        : `${waitingRunCount} runs waited for it`;
  output.show(published, () => `${id}  ${who}; a run that begins to wait later gets it too.`, `hive events --type ${type}`);
}

/** Options of `hive events`. */
export interface ListOptions {
  readonly type?: string;
  readonly key?: string;
  readonly limit: string;
}

/** `hive events` */
export async function listEvents({ client, output, terminal }: Session, { type, key, limit }: ListOptions): Promise<void> {
  const events = await client.listEvents({
    ...(type !== undefined && { type }),
    ...(key !== undefined && { key }),
    limit: Number(limit),
  });
  const nowMs = terminal.clock.nowMs();
  const rows = () =>
    events.map((event) => [
      event.id,
      event.type,
      event.key ?? '',
      agoText(event.receivedAtMs, nowMs),
      event.publishedBy,
      cutText(JSON.stringify(event.payload), 60),
    ]);
  const table = () => tableText(['EVENT', 'TYPE', 'KEY', 'RECEIVED', 'BY', 'PAYLOAD'], rows(), output.colors);
  if (events.length === 0) output.show(events, () => 'No events.', 'hive publish <type> --key <key>');
  else output.show(events, table);
}
