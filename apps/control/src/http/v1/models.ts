import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { HiveError, type JsonObject, modelQuestionSchema, runIdSchema, workerModelCallSchema } from '@hivekeeper/contract';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { DialectName, ModelAnswer, ModelCaller } from '../../flow/models/index.ts';
import { answers, type App, callerOf, mustTakeWork, noQuery } from '../route.ts';
import type { Services } from '../services.ts';
import type { OpenEnds } from './open-ends.ts';
import { streamHeaders } from './run-stream.ts';

/** Pictures and documents travel inside of the body. */
const bodyLimitBytes = 32 * 1024 * 1024;
/** What a provider may be told of the caller's headers. */
const passedHeaders = ['anthropic-version', 'anthropic-beta'];

const headersSchema = z.looseObject({
  'x-hive-run-id': runIdSchema.optional().describe('The run that the call is for'),
  'x-hive-node-id': z.string().min(1).max(200).optional().describe('Its node'),
});

const answered = answers({ 200: z.looseObject({}).describe('As the provider answers; a stream of events where `stream` is true') });

const routes: readonly { readonly url: string; readonly dialect: DialectName; readonly summary: string }[] = [
  { url: '/v1/chat/completions', dialect: 'chat-completions', summary: 'Call a model by OpenAI’s Chat Completions API' },
  { url: '/v1/responses', dialect: 'responses', summary: 'Call a model by OpenAI’s Responses API' },
  { url: '/v1/embeddings', dialect: 'embeddings', summary: 'Embed texts by OpenAI’s Embeddings API' },
  { url: '/v1/messages', dialect: 'messages', summary: 'Call a model by Anthropic’s Messages API' },
];

/** The model gateway: the official clients' base address is this control plane. */
export function addModels(app: App, services: Services, openEnds: OpenEnds): void {
  const answer = answerer(services, openEnds);
  for (const { url, dialect, summary } of routes) {
    app.post(
      url,
      {
        bodyLimit: bodyLimitBytes,
        config: { access: 'model' },
        schema: {
          summary,
          tags: ['models'],
          // Anthropic's client says so of beta features.
          querystring: dialect === 'messages' ? z.strictObject({ beta: z.string().max(20).optional() }) : noQuery,
          headers: headersSchema,
          body: modelQuestionSchema,
          response: {
            ...answers({ 200: z.looseObject({}).describe('As the provider answers; a stream of events where `stream` is true') }),
          },
        },
      },
      async (request, reply) => {
        const { tenantId, subject } = callerOf(request);
        const { 'x-hive-run-id': runId, 'x-hive-node-id': nodeId } = request.headers;
        const caller = { tenantId, subject, runId, nodeId };
        return answer(reply, { dialect, body: request.body as Body, headers: passed(request.headers), caller });
      },
    );
  }
  app.post(
    '/v1/worker/model-calls',
    {
      bodyLimit: bodyLimitBytes,
      config: { access: 'worker' },
      schema: {
        summary: 'Call a model for an agent at work; the answer is its provider’s',
        tags: ['worker'],
        querystring: noQuery,
        body: workerModelCallSchema,
        response: answered,
      },
    },
    async (request, reply) => {
      const { dialect, question, runId, nodeId, workerId, ticketId, token, headers } = request.body;
      // An agent whose ticket is somebody else's by now spends nothing more.
      await services.effects.memo({ workerId, ticketId, token });
      const caller = { tenantId: callerOf(request).tenantId, subject: `worker:${workerId}`, runId, nodeId };
      return answer(reply, { dialect, body: question as Body, headers, caller });
    },
  );
}

type Body = JsonObject & { readonly model: string };

interface Question {
  readonly dialect: DialectName;
  readonly body: Body;
  readonly headers: Readonly<Record<string, string>>;
  readonly caller: ModelCaller;
}

const answerer = (services: Services, openEnds: OpenEnds) => async (reply: FastifyReply, question: Question) => {
  const { models } = services;
  if (models === undefined) throw new HiveError('MODELS_NOT_CONFIGURED');
  mustTakeWork(services);
  const { status, callId, model, body } = await models.call({ ...question, signal: openEnds.wait(reply.raw) });
  void reply.code(status).headers({ 'x-hive-call-id': callId, 'x-hive-model': model });
  if (typeof body === 'string') return reply.type('application/json; charset=utf-8').send(body);
  return reply.type('text/event-stream; charset=utf-8').headers(streamHeaders).send(streamOf(body));
};

const streamOf = (frames: Exclude<ModelAnswer['body'], string>): Readable =>
  Readable.from(frames, { objectMode: false, highWaterMark: 16 * 1024 });

const passed = (headers: IncomingHttpHeaders): Record<string, string> =>
  Object.fromEntries(
    passedHeaders.flatMap((name) => {
      const value = headers[name];
      return typeof value === 'string' ? [[name, value]] : [];
    }),
  );
