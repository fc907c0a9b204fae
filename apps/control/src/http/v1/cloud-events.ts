import type { IncomingHttpHeaders } from 'node:http';
import { cloudEventSchema, HiveError } from '@hivekeeper/contract';
import { publicationOf } from '../../flow/triggers/index.ts';
import { cloudEventType, issuesOf } from '../json.ts';

interface Sent {
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** The body as `POST /v1/events` takes it; a CloudEvent, in structured or binary mode, is made one. @throws HiveError INVALID_REQUEST */
export function eventBodyOf({ headers, body }: Sent): unknown {
  if (mediaTypeOf(headers) === cloudEventType) return published(body);
  return headers['ce-specversion'] === undefined ? body : published({ ...attributesIn(headers), data: body });
}

function published(candidate: unknown): unknown {
  const { data, error } = cloudEventSchema.safeParse(candidate);
  if (error === undefined) return publicationOf(data);
  const issues = issuesOf(error.issues);
  throw new HiveError('INVALID_REQUEST', `no CloudEvent 1.0: ${issues[0]?.path}: ${issues[0]?.message}`, { issues });
}

/** What the `ce-` headers say; they are percent-encoded. */
const attributesIn = (headers: IncomingHttpHeaders): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers)
      .filter(([name, value]) => name.startsWith('ce-') && typeof value === 'string')
      .map(([name, value]) => [name.slice('ce-'.length), decoded(String(value))]),
  );

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const mediaTypeOf = (headers: IncomingHttpHeaders): string => (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
