import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { HiveError, type JsonObject, runIdSchema } from '@hivekeeper/contract';
import { z } from 'zod';
import type { DialectName, ModelAnswer } from '../../flow/models/index.ts';
import { answers, type App, callerOf, mustTakeWork, noQuery } from '../route.ts';
import type { Services } from '../services.ts';
import type { OpenEnds } from './open-ends.ts';
import { streamHeaders } from './run-stream.ts';

/** Pictures and documents travel inside of the body. */
const bodyLimitBytes = 32 * 1024 * 1024;
/** What a provider may be told of the caller's headers. */
const passedHeaders = ['anthropic-version', 'anthropic-beta'];

const callSchema = z
  .looseObject({ model: z.string().min(1).max(200).describe('A class or a model of the models file'), stream: z.boolean().nullish() })
  .describe('As the provider documents it; everything but `model` is passed on unchanged');
const headersSchema = z.looseObject({
  'x-hive-run-id': runIdSchema.optional().describe('The run that the call is for'),
  'x-hive-node-id': z.string().min(1).max(200).optional().describe('Its node'),
});

const routes: readonly { readonly url: string; readonly dialect: DialectName; readonly summary: string }[] = [
  { url: '/v1/chat/completions', dialect: 'chat-completions', summary: 'Call a model by OpenAI’s Chat Completions API' },
  { url: '/v1/responses', dialect: 'responses', summary: 'Call a model by OpenAI’s Responses API' },
  { url: '/v1/embeddings', dialect: 'embeddings', summary: 'Embed texts by OpenAI’s Embeddings API' },
  { url: '/v1/messages', dialect: 'messages', summary: 'Call a model by Anthropic’s Messages API' },
];

/** The model gateway: the official clients' base address is this control plane. */
export function addModels(app: App, services: Services, openEnds: OpenEnds): void {
  for (const { url, dialect, summary } of routes) {
    app.post(
      url,
      {
        bodyLimit: bodyLimitBytes,
        config: { access: 'admin' },
        schema: {
          summary,
          tags: ['models'],
          // Anthropic's client says so of beta features.
          querystring: dialect === 'messages' ? z.strictObject({ beta: z.string().max(20).optional() }) : noQuery,
          headers: headersSchema,
          body: callSchema,
          response: {
            ...answers({ 200: z.looseObject({}).describe('As the provider answers; a stream of events where `stream` is true') }),
          },
        },
      },
      async (request, reply) => {
        const { models } = services;
        if (models === undefined) throw new HiveError('MODELS_NOT_CONFIGURED');
        mustTakeWork(services);
        const { tenantId, subject } = callerOf(request);
        const { 'x-hive-run-id': runId, 'x-hive-node-id': nodeId } = request.headers;
        const answer = await models.call({
          dialect,
          body: request.body as JsonObject & { readonly model: string },
          headers: passed(request.headers),
          caller: { tenantId, subject, runId, nodeId },
          signal: openEnds.wait(reply.raw),
        });
        void reply.code(answer.status).headers({ 'x-hive-call-id': answer.callId, 'x-hive-model': answer.model });
        if (typeof answer.body === 'string') return reply.type('application/json; charset=utf-8').send(answer.body as never);
        return reply
          .type('text/event-stream; charset=utf-8')
          .headers(streamHeaders)
          .send(streamOf(answer.body) as never);
      },
    );
  }
}

const streamOf = (frames: Exclude<ModelAnswer['body'], string>): Readable =>
  Readable.from(frames, { objectMode: false, highWaterMark: 16 * 1024 });

const passed = (headers: IncomingHttpHeaders): Record<string, string> =>
  Object.fromEntries(
    passedHeaders.flatMap((name) => {
      const value = headers[name];
      return typeof value === 'string' ? [[name, value]] : [];
    }),
  );
