import { hash } from 'node:crypto';
import type { JsonObject } from '@hivekeeper/contract';
import { z } from 'zod';
import { tokenCount, type Usage } from '../usage.ts';
import type { Dialect, StreamEvent } from './dialect.ts';
import { eventOf } from './json.ts';

const usageSchema = z
  .looseObject({ prompt_tokens: tokenCount })
  .transform((told): Usage => ({ inputTokens: told.prompt_tokens, cachedInputTokens: 0, outputTokens: 0 }));

/** https://platform.openai.com/docs/api-reference/embeddings: it has no streams. */
export const embeddings: Dialect = {
  name: 'embeddings',
  path: '/embeddings',
  outgoing: (body, model) => ({ ...body, model }),
  isAnswer: (answer) => Array.isArray(answer['data']),
  usageOf: (answer) => usageSchema.safeParse(answer['usage']).data,
  // Nothing is written that is charged.
  outputLimitOf: () => 0,
  reader: () => (event) => ({ forward: event, isEnd: false, isError: true }),
  failure: (code, message) => eventOf({ error: { message, type: 'api_error', code, param: null } }),
  simulated,
};

const dimensions = 8;

// The same text has the same vector; it means nothing.
function vectorOf(text: string): Float32Array {
  const bytes = Buffer.from(hash('sha256', text), 'hex');
  return Float32Array.from({ length: dimensions }, (_, index) => (bytes[index] ?? 0) / 255);
}

function simulated(body: JsonObject, model: string): { answer: JsonObject; events: StreamEvent[] } {
  const inputs = [body['input']].flat();
  const data = inputs.map((input, index) => {
    const vector = vectorOf(JSON.stringify(input ?? null));
    const embedding = body['encoding_format'] === 'base64' ? Buffer.from(vector.buffer).toString('base64') : [...vector];
    return { object: 'embedding', index, embedding };
  });
  const tokens = Math.ceil(JSON.stringify(inputs).length / 4);
  return {
    answer: { object: 'list', model: `SIMULATED/${model}`, data, usage: { prompt_tokens: tokens, total_tokens: tokens } },
    events: [],
  };
}
