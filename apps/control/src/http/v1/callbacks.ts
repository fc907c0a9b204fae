import { createHash } from 'node:crypto';
import { agentAnswerSchema, callbackAnswerSchema, ticketIdSchema } from '@hivekeeper/contract';
import { z } from 'zod';
import type { CallbackKey } from '../../flow/runs/index.ts';
import { answers, type App, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const params = z.strictObject({
  ticketId: ticketIdSchema,
  secret: z.string().regex(/^[\w-]{43}$/, 'the secret of a callback address has 43 characters'),
});
const base = { tags: ['callbacks'], params, querystring: noQuery, response: answers({ 200: callbackAnswerSchema }) };
const config = { access: 'open' } as const;

const keyOf = ({ ticketId, secret }: z.infer<typeof params>): CallbackKey => ({
  ticketId,
  key: createHash('sha256').update(secret).digest('hex'),
});

/** Where agents behind HTTP say what they came to. The address is all the authority there is, and is good for one attempt. */
export function addCallbacks(app: App, { callbacks }: Services): void {
  const address = '/v1/callbacks/:ticketId/:secret';
  app.get(
    address,
    { config, schema: { ...base, summary: 'Whether the attempt of an agent behind HTTP is still wanted; 410 where it is not' } },
    async ({ params: given }) => ({ state: await callbacks.look(keyOf(given)) }),
  );
  app.post(
    address,
    { config, schema: { ...base, summary: 'What an attempt came to whose agent had answered 202; counts once', body: agentAnswerSchema } },
    async ({ params: given, body }) => ({ state: await callbacks.take(keyOf(given), body) }),
  );
}
