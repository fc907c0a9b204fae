import { createHash, randomBytes } from 'node:crypto';
import { HiveError, type JsonObject, type LeasedTicket } from '@hivekeeper/contract';
import { Webhook } from 'standardwebhooks';

/** An address to which an agent calls back, and the key of the wait that hears it. */
export interface Callback {
  readonly url: string;
  /** SHA-256 of the secret in the address: the platform never stores the secret itself. */
  readonly key: string;
}

/** A callback address that nobody can guess, for one ticket. */
export function newCallback(ticketId: string, baseUrl: string): Callback {
  const secret = randomBytes(32).toString('base64url');
  return {
    url: `${baseUrl.replace(/\/+$/, '')}/v1/callbacks/${ticketId}/${secret}`,
    key: createHash('sha256').update(secret).digest('hex'),
  };
}

/** What an agent is told of an attempt. */
export function attemptBody(ticket: LeasedTicket, callbackUrl: string): JsonObject {
  const { ticketId, runId, nodeId, slot, attempt, agent, action, input, timeoutMs } = ticket;
  return {
    ticketId,
    runId,
    nodeId,
    slot,
    attempt,
    agent: agent.name,
    ...(action !== undefined && { action }),
    input,
    timeoutMs,
    callbackUrl,
  };
}

/** What Standard Webhooks signs is divided by full stops, so its id has none. */
const messageIdOf = (ticketId: string): string => ticketId.replaceAll('.', '-');

/** Signs requests to one agent. */
export type Sign = (ticketId: string, body: string) => Readonly<Record<string, string>>;

/**
 * Signs by Standard Webhooks 1.0.0 (https://www.standardwebhooks.com): HMAC-SHA256 over id, time and body. The id is the
 * ticket's, and serves as the idempotency key: the same attempt that comes again has the same one.
 * @throws HiveError AGENT_NOT_RUNNABLE where there is no secret, or none that can be one
 */
export function newSign(variable: string, secret: string | undefined, now: () => number): Sign {
  const webhook = webhookOf(variable, secret);
  return (ticketId, body) => {
    const id = messageIdOf(ticketId);
    const atMs = now();
    return {
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(atMs / 1_000)),
      'webhook-signature': webhook.sign(id, new Date(atMs), body),
      'idempotency-key': id,
    };
  };
}

/** Shorter ones can be found by trying; Standard Webhooks asks for 24 bytes at least. */
const leastSecretBytes = 24;

function webhookOf(variable: string, secret: string | undefined): Webhook {
  const bytes = secret === undefined ? undefined : Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  if (bytes === undefined)
    throw new HiveError('AGENT_NOT_RUNNABLE', `the variable ${variable}, which holds the agent’s secret, is not set on this worker`);
  if (bytes.length < leastSecretBytes)
    throw new HiveError(
      'AGENT_NOT_RUNNABLE',
      `the variable ${variable} holds no secret of Standard Webhooks: whsec_ and 24 bytes or more in base64`,
    );
  return new Webhook(bytes.toString('base64'));
}
