import { createKeySchema, keyViewSchema, madeKeySchema, rotateKeySchema } from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, callerOf, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['keys'];
const config = { access: 'administer' } as const;
const params = z.strictObject({ id: z.string().regex(/^key_[0-9A-Za-z]{1,40}$/) });

/** API keys: whom they are for, and until when. */
export function addKeys(app: App, { keys }: Services): void {
  app.get(
    '/v1/keys',
    {
      config,
      schema: {
        summary: 'Keys, the newest first, also those that ended; never themselves',
        tags,
        querystring: noQuery,
        response: answers({ 200: z.array(keyViewSchema) }),
      },
    },
    async (request) => [...(await keys.list(callerOf(request).tenantId))],
  );
  app.post(
    '/v1/keys',
    {
      config,
      schema: {
        summary: 'Make a key; the answer is the only place where it can ever be read',
        tags,
        querystring: noQuery,
        body: createKeySchema,
        response: answers({ 201: madeKeySchema }),
      },
    },
    async (request, reply) => {
      const { tenantId, subject: by } = callerOf(request);
      return reply.code(201).send(await keys.create({ ...request.body, tenantId, by }));
    },
  );
  addEnds(app, keys);
}

function addEnds(app: App, keys: Services['keys']): void {
  app.post(
    '/v1/keys/:id/rotate',
    {
      config,
      schema: {
        summary: 'Make another key of the name; the one before works for a while yet',
        tags,
        params,
        querystring: noQuery,
        body: rotateKeySchema,
        response: answers({ 201: madeKeySchema }),
      },
    },
    async (request, reply) => {
      const { tenantId, subject: by } = callerOf(request);
      return reply.code(201).send(await keys.rotate({ ...request.body, tenantId, by, id: request.params.id }));
    },
  );
  app.delete(
    '/v1/keys/:id',
    {
      config,
      schema: {
        summary: 'End a key: no control plane takes it 5 s later, and streams over HTTP that it opened are cut',
        tags,
        params,
        querystring: noQuery,
        response: answers({ 200: keyViewSchema }),
      },
    },
    async (request) => {
      const { tenantId, subject: by } = callerOf(request);
      return keys.revoke({ tenantId, by, id: request.params.id });
    },
  );
}
