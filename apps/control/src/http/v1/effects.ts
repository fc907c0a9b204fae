import {
  effectIdSchema,
  type EffectView,
  effectViewSchema,
  type JsonValue,
  listEffectsQuerySchema,
  type Outcome,
  resolveEffectSchema,
} from '@hivekeeper/contract';
import { z } from 'zod';
import type { Redaction } from '../../records/redaction/index.ts';
import { answers, type App, callerOf, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['effects'];
const params = z.strictObject({ id: effectIdSchema });

/** Effects: what agents did to the world outside; resolving those of which nobody knows whether they happened. */
export function addEffects(app: App, { effects, effectStore, suspensions, redaction }: Services): void {
  const shown = (effect: EffectView) => withoutSecrets(redaction, effect) as never;
  app.get(
    '/v1/effects',
    {
      config: { access: 'read' },
      schema: {
        summary: 'Effects, oldest first',
        tags,
        querystring: listEffectsQuerySchema,
        response: answers({ 200: z.array(effectViewSchema) }),
      },
    },
    async (request, reply) => reply.send((await effectStore.list(callerOf(request).tenantId, request.query)).map(shown)),
  );
  app.get(
    '/v1/effects/:id',
    {
      config: { access: 'read' },
      schema: { summary: 'An effect', tags, params, querystring: noQuery, response: answers({ 200: effectViewSchema }) },
    },
    async (request, reply) => reply.send(shown(await effects.effect(callerOf(request).tenantId, request.params.id))),
  );
  app.post(
    '/v1/effects/:id/resolve',
    {
      config: { access: 'operate' },
      schema: {
        summary: 'Say what became of an unknown effect; a run that waits for it goes on',
        tags,
        params,
        querystring: noQuery,
        body: resolveEffectSchema,
        response: answers({ 200: effectViewSchema }),
      },
    },
    async (request, reply) => {
      const { tenantId, subject } = callerOf(request);
      const { happened, output, notes } = request.body;
      const which = { tenantId, effectId: request.params.id };
      await suspensions.resolve(which, { happened, output: output as JsonValue | undefined, notes, by: subject });
      return reply.send(shown(await effects.effect(tenantId, request.params.id)));
    },
  );
}

/** The effect with the secrets taken out of what agents said. They get it back as they said it. */
const withoutSecrets = (redaction: Redaction, { args, outcome, reason, ...effect }: EffectView) => ({
  ...effect,
  args: redaction.value(args as JsonValue),
  ...(outcome !== undefined && { outcome: outcomeOf(redaction, outcome as Outcome) }),
  ...(reason !== undefined && { reason: redaction.text(reason) }),
});

const outcomeOf = (redaction: Redaction, outcome: Outcome): Outcome =>
  outcome.ok
    ? { ok: true, output: redaction.value(outcome.output) }
    : { ok: false, error: { ...outcome.error, message: redaction.text(outcome.error.message) } };
