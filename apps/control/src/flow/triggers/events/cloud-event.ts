import { hash } from 'node:crypto';
import type { CloudEvent, PublishEvent } from '@hivekeeper/contract';

const longestId = 255;

/** What a CloudEvent publishes: the same id of the same source is the same event. */
export function publicationOf(event: CloudEvent): PublishEvent {
  const { id, source, type, subject, partitionkey: key, data, data_base64 } = event;
  const name = `${source}#${id}`;
  return {
    ...{ type, source, payload: data ?? data_base64 ?? null },
    eventId: name.length <= longestId ? name : hash('sha256', name),
    ...(subject !== undefined && { subject }),
    ...(key !== undefined && { key }),
  };
}
