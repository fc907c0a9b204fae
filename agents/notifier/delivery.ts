import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HiveError, type JsonObject } from '@hivekeeper/contract';
import { z } from 'zod';
import { endpointOf } from './endpoint.ts';
import type { Notification } from './input.ts';
import { discordPayload, plainPayload, slackPayload } from './payload.ts';

const timeoutMs = 10_000;
/** The platform makes a granted path that is missing, as a directory. */
const fileInDirectory = 'notifications.jsonl';

/** What the agent answers. There is no answer for a message that did not arrive: that is an error. */
export interface Delivery {
  readonly success: true;
  readonly channel: Notification['channel'];
  readonly messageId?: string;
  readonly timestamp: string;
}

/**
 * Delivers the message once.
 *
 * @throws AGENT_FAILED where the service refused it, did not answer within 10 s, or answered with a redirect.
 */
export async function deliver(notification: Notification, timestamp: string): Promise<Delivery> {
  const messageId = await channels[notification.channel](notification, { messageId: randomUUID(), timestamp });
  return { success: true, channel: notification.channel, ...(messageId !== undefined && { messageId }), timestamp };
}

interface Envelope {
  readonly messageId: string;
  readonly timestamp: string;
}
type Channel = (notification: Notification, envelope: Envelope) => Promise<string | undefined>;

/** Each gives the id under which its receiver knows the message; Slack's webhooks have none. */
const channels: Record<Notification['channel'], Channel> = {
  slack: async (notification, { timestamp }) => {
    await post(notification, slackPayload(notification, timestamp));
    return undefined;
  },
  discord: async (notification, { timestamp }) => {
    const answer = await post(notification, discordPayload(notification, timestamp), { wait: 'true' });
    return discordAnswerSchema.safeParse(parseOrNull(answer)).data?.id;
  },
  webhook: async (notification, envelope) => {
    await post(notification, plainPayload(notification, envelope));
    return envelope.messageId;
  },
  console: async ({ severity, message, metadata }, { messageId }) => {
    process.stderr.write(`${severity.toUpperCase()}: ${message}${metadata === undefined ? '' : ` ${JSON.stringify(metadata)}`}\n`);
    return messageId;
  },
  file: async (notification, envelope) => {
    await appendLine(notification.path ?? '', JSON.stringify(plainPayload(notification, envelope)));
    return envelope.messageId;
  },
};

const discordAnswerSchema = z.object({ id: z.string() });

async function post({ webhookUrl }: Notification, payload: JsonObject, query: Record<string, string> = {}): Promise<string> {
  const url = endpointOf(webhookUrl ?? '');
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(payload),
      // A redirect would carry the message to an address that nobody chose.
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const answer = await response.text();
    if (!response.ok) throw new HiveError('AGENT_FAILED', `${url.host} answered ${response.status}: ${answer.slice(0, 200)}`);
    return answer;
  } catch (cause) {
    throw HiveError.is(cause) ? cause : new HiveError('AGENT_FAILED', `${url.host} was not reached: ${reasonOf(cause)}`, { cause });
  }
}

/** `fetch` says only "fetch failed"; what happened is in the cause. The URL, a secret, is in neither. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${timeoutMs / 1_000} s`;
  return error.cause instanceof Error ? error.cause.message : error.message;
}

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** One write in append mode, so that lines of several writers do not mix; a symbolic link is not followed. */
async function appendLine(path: string, line: string): Promise<void> {
  try {
    const isDirectory = (await stat(path).catch(() => undefined))?.isDirectory() === true;
    const flags = constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW;
    await using file = await open(isDirectory ? join(path, fileInDirectory) : path, flags, 0o600);
    await file.write(`${line}\n`);
    await file.sync();
  } catch (cause) {
    throw new HiveError('AGENT_FAILED', `the message could not be written: ${reasonOf(cause)}`, { cause });
  }
}
