import { agentNameSchema, type ListedBreaker, listedBreakerSchema, nameSchema, setBreakerSchema } from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, callerOf, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['breakers'];

/** Breakers of agents and of what they depend on: where they stand, and what people decide about them. */
export function addBreakers(app: App, { agents, breakers, redaction }: Services): void {
  // The cause is a message of an agent's.
  const shown = ({ cause, ...rest }: ListedBreaker): ListedBreaker => ({
    ...rest,
    ...(cause !== undefined && { cause: redaction.text(cause) }),
  });
  app.get(
    '/v1/breakers',
    {
      config: { access: 'read' },
      schema: {
        summary: 'Every breaker of the registered agents, and those of what they depend on',
        tags,
        querystring: noQuery,
        response: answers({ 200: z.array(listedBreakerSchema) }),
      },
    },
    async (request) => {
      const { tenantId } = callerOf(request);
      return (await breakers.list(tenantId, await agents.list(tenantId))).map(shown);
    },
  );
  for (const [path, kind, name] of [
    ['agents', 'agent', agentNameSchema],
    ['dependencies', 'dependency', nameSchema],
  ] as const)
    app.put(
      `/v1/breakers/${path}/:name`,
      {
        config: { access: 'operate' },
        schema: {
          summary: `Close the breaker of ${kind === 'agent' ? 'an agent' : 'a dependency'}, or open it for a while`,
          tags,
          params: z.strictObject({ name }),
          querystring: noQuery,
          body: setBreakerSchema,
          response: answers({ 200: listedBreakerSchema }),
        },
      },
      async (request) => {
        const { tenantId, subject: by } = callerOf(request);
        const known = await agents.list(tenantId);
        return shown(await breakers.set({ tenantId, subject: { kind, name: request.params.name }, by }, request.body, known));
      },
    );
}
