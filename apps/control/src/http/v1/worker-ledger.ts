import {
  type BeginEffect,
  beginEffectSchema,
  begunEffectSchema,
  doubtEffectSchema,
  type FinishEffect,
  finishEffectSchema,
  memoPageSchema,
  probeEffectSchema,
  readMemoSchema,
  recordedStepSchema,
  recordStepSchema,
  suspendRequestSchema,
  type Suspension,
} from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['worker'];
const access = 'worker';
/** Arguments and outcomes are records, not data: what is larger belongs into a file. */
const ledgerLimitBytes = 256 * 1024;
const done = answers({ 204: z.null() });

/** What a worker tells of the effects and steps of an agent that is at work. */
export function addWorkerLedger(app: App, services: Services): void {
  addEffectCalls(app, services);
  addStepCalls(app, services);
}

function addEffectCalls(app: App, { effects }: Services): void {
  const schemaOf = <Body extends z.ZodType, Response>(summary: string, body: Body, response: Response) => ({
    bodyLimit: ledgerLimitBytes,
    config: { access } as const,
    schema: { summary, tags, querystring: noQuery, body, response },
  });
  app.post(
    '/v1/worker/effects/begin',
    schemaOf(
      'Record that an effect is about to be made; the answer says whether to make it',
      beginEffectSchema,
      answers({ 200: begunEffectSchema }),
    ),
    async (request, reply) => reply.send((await effects.begin(request.body as BeginEffect)) as never),
  );
  app.post(
    '/v1/worker/effects/finish',
    schemaOf('Record how an effect ended; the first end stays', finishEffectSchema, done),
    async (request, reply) => {
      await effects.finish(request.body as FinishEffect);
      return reply.code(204).send(null);
    },
  );
  app.post(
    '/v1/worker/effects/doubt',
    schemaOf('Record that an effect may or may not have happened', doubtEffectSchema, done),
    async (request, reply) => {
      await effects.doubt(request.body);
      return reply.code(204).send(null);
    },
  );
  app.post(
    '/v1/worker/effects/probed',
    schemaOf('Record what a look at the other side found of an unknown effect', probeEffectSchema, done),
    async (request, reply) => {
      await effects.probed(request.body);
      return reply.code(204).send(null);
    },
  );
}

function addStepCalls(app: App, { effects, suspensions }: Services): void {
  const base = { bodyLimit: ledgerLimitBytes, config: { access } } as const;
  app.post(
    '/v1/worker/steps',
    {
      ...base,
      schema: {
        summary: 'Record what a step came to; the first word stays, and is the answer',
        tags,
        querystring: noQuery,
        body: recordStepSchema,
        response: answers({ 200: recordedStepSchema }),
      },
    },
    async (request, reply) => reply.send({ outcome: await effects.record(request.body) } as never),
  );
  app.post(
    '/v1/worker/memo',
    {
      ...base,
      schema: {
        summary: 'The steps that earlier attempts recorded, a page at a time',
        tags,
        querystring: noQuery,
        body: readMemoSchema,
        response: answers({ 200: memoPageSchema }),
      },
    },
    async (request, reply) => reply.send((await effects.memo(request.body)) as never),
  );
  app.post(
    '/v1/worker/suspend',
    {
      ...base,
      schema: {
        summary: 'Give a ticket back because its agent waits; the same ticket and token again give the same answer',
        tags,
        querystring: noQuery,
        body: suspendRequestSchema,
        response: done,
      },
    },
    async (request, reply) => {
      await suspensions.suspend({ ...request.body, suspension: request.body.suspension as Suspension });
      return reply.code(204).send(null);
    },
  );
}
