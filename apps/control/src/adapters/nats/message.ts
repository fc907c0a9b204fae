import { cloudEventSchema, findJsonDefect, type JsonValue, type PublishEvent, publishEventSchema } from '@hivekeeper/contract';
import type { z } from 'zod';
import { publicationOf } from '../../flow/triggers/index.ts';

/** A message as it came. */
export interface ArrivedMessage {
  readonly subject: string;
  /** Its header `Nats-Msg-Id`. */
  readonly messageId?: string | undefined;
  /** Names it where its sender did not. */
  readonly fallbackId?: string | undefined;
  readonly bytes: Uint8Array;
}

/** An event, or why the message is none. */
export type Read = { readonly event: z.output<typeof publishEventSchema> } | { readonly fault: string };

const decoder = new TextDecoder('utf-8', { fatal: true });
const limitBytes = 256 * 1024;
const defaultSource = 'nats';

/**
 * What a message publishes: a CloudEvent as it says; `{type, payload, source?}` as CommandCenter's services send it; any other JSON
 * under the subject as its type. Its id is what the sender gave it (`Nats-Msg-Id`, or the CloudEvent's).
 */
export function eventIn({ subject, messageId, fallbackId, bytes }: ArrivedMessage): Read {
  if (bytes.length > limitBytes) return { fault: `it is larger than ${limitBytes} bytes` };
  const body = jsonIn(bytes);
  if (body === undefined) return { fault: 'it is not JSON' };
  const defect = findJsonDefect(body);
  if (defect !== undefined) return { fault: `${defect.path}: ${defect.reason}` };
  const told = toldBy(body as JsonValue, subject);
  const eventId = messageId ?? told.eventId ?? fallbackId;
  const { data, error } = publishEventSchema.safeParse({ subject, ...told, ...(eventId !== undefined && { eventId }) });
  return error === undefined
    ? { event: data }
    : { fault: error.issues.map(({ path, message }) => `/${path.join('/')}: ${message}`).join('; ') };
}

function toldBy(body: JsonValue, subject: string): PublishEvent {
  const cloudEvent = cloudEventSchema.safeParse(body);
  if (cloudEvent.success) return publicationOf(cloudEvent.data);
  const { type, payload, source } = isObject(body) ? body : {};
  if (typeof type === 'string' && payload !== undefined)
    return { type, payload, source: typeof source === 'string' && source !== '' ? source : defaultSource };
  return { type: subject, payload: body, source: defaultSource };
}

function jsonIn(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch {
    return undefined;
  }
}

const isObject = (value: JsonValue): value is { readonly [key: string]: JsonValue } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
