import type { JsonObject } from '@hivekeeper/contract';
import { z } from 'zod';
import { tokenCount, type Usage } from '../usage.ts';
import type { Dialect, ReadEvent, Seen, StreamEvent } from './dialect.ts';
import { eventOf, firstLimit, lastContent, objectIn, simulatedText } from './json.ts';

const usageSchema = z
  .looseObject({
    prompt_tokens: tokenCount,
    completion_tokens: tokenCount,
    prompt_tokens_details: z.looseObject({ cached_tokens: tokenCount.nullish() }).nullish(),
  })
  .transform((told): Usage => ({
    inputTokens: told.prompt_tokens,
    cachedInputTokens: told.prompt_tokens_details?.cached_tokens ?? 0,
    outputTokens: told.completion_tokens,
  }));
const optionsSchema = z.looseObject({ include_usage: z.boolean().optional() });
const done = '[DONE]';

/** https://platform.openai.com/docs/api-reference/chat */
export const chatCompletions: Dialect = {
  name: 'chat-completions',
  path: '/chat/completions',
  outgoing: (body, model) => ({
    ...body,
    model,
    ...(body['stream'] === true && { stream_options: { ...optionsSchema.safeParse(body['stream_options']).data, include_usage: true } }),
  }),
  isAnswer: (answer) => Array.isArray(answer['choices']),
  usageOf: (answer) => usageSchema.safeParse(answer['usage']).data,
  outputLimitOf: (body) => {
    const limit = firstLimit(body['max_completion_tokens'], body['max_tokens']);
    return limit === undefined ? undefined : limit * (firstLimit(body['n']) ?? 1);
  },
  reader: (body) => readerFor(optionsSchema.safeParse(body['stream_options']).data?.include_usage === true),
  failure: (code, message) => eventOf({ error: { message, type: 'api_error', code, param: null } }),
  simulated,
};

// Where the caller did not ask for the usage, it does not see that the gateway did.
const readerFor =
  (isUsageShown: boolean): ReadEvent =>
  (event): Seen => {
    if (event.data === done) return { forward: event, isEnd: true, isError: false };
    const chunk = objectIn(event.data);
    if (chunk === undefined) return { forward: undefined, isEnd: false, isError: true };
    const { usage: told, ...rest } = chunk;
    const usage = usageSchema.safeParse(told).data;
    const isError = chunk['error'] !== undefined && chunk['error'] !== null;
    if (isUsageShown || told === undefined) return { forward: event, usage, isEnd: false, isError };
    const isOnlyUsage = Array.isArray(chunk['choices']) && chunk['choices'].length === 0;
    return { forward: isOnlyUsage ? undefined : eventOf(rest), usage, isEnd: false, isError };
  };

function simulated(body: JsonObject, model: string): { answer: JsonObject; events: StreamEvent[] } {
  const content = simulatedText(lastContent(body['messages']));
  const head = { id: 'chatcmpl-SIMULATED', created: 0, model: `SIMULATED/${model}` };
  const [inputTokens, outputTokens] = [Math.ceil(JSON.stringify(body).length / 4), Math.ceil(content.length / 4)];
  const usage = { prompt_tokens: inputTokens, completion_tokens: outputTokens, total_tokens: inputTokens + outputTokens };
  const choice = { index: 0, logprobs: null };
  const answer = {
    ...head,
    object: 'chat.completion',
    choices: [{ ...choice, message: { role: 'assistant', content, refusal: null }, finish_reason: 'stop' }],
    usage,
  };
  const chunk = (choices: JsonObject[], more: JsonObject = {}) => eventOf({ ...head, object: 'chat.completion.chunk', choices, ...more });
  const events = [
    chunk([{ ...choice, delta: { role: 'assistant', content }, finish_reason: null }]),
    chunk([{ ...choice, delta: {}, finish_reason: 'stop' }]),
    chunk([], { usage }),
    { data: done },
  ];
  return { answer, events };
}
