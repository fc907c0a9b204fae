import type { JsonObject } from '@hivekeeper/contract';
import { z } from 'zod';
import { tokenCount, type Usage } from '../usage.ts';
import type { Dialect, Seen, StreamEvent } from './dialect.ts';
import { eventOf, firstLimit, lastContent, objectIn, simulatedText } from './json.ts';

const usageSchema = z
  .looseObject({
    input_tokens: tokenCount,
    output_tokens: tokenCount,
    input_tokens_details: z.looseObject({ cached_tokens: tokenCount.nullish() }).nullish(),
  })
  .transform((told): Usage => ({
    inputTokens: told.input_tokens,
    cachedInputTokens: told.input_tokens_details?.cached_tokens ?? 0,
    outputTokens: told.output_tokens,
  }));
const ends: readonly unknown[] = ['response.completed', 'response.incomplete', 'response.failed'];

/** https://platform.openai.com/docs/api-reference/responses */
export const responses: Dialect = {
  name: 'responses',
  path: '/responses',
  outgoing: (body, model) => ({ ...body, model }),
  isAnswer: (answer) => answer['object'] === 'response',
  usageOf: (answer) => usageSchema.safeParse(answer['usage']).data,
  outputLimitOf: (body) => firstLimit(body['max_output_tokens']),
  reader: () => read,
  failure: (code, message) => eventOf({ type: 'error', code, message, param: null, error: { message, code } }, 'error'),
  simulated,
};

function read(event: StreamEvent): Seen {
  const data = objectIn(event.data);
  const type = data?.['type'];
  const isEnd = ends.includes(type);
  const usage = isEnd ? usageSchema.safeParse((data?.['response'] as JsonObject | undefined)?.['usage']).data : undefined;
  return { forward: data === undefined ? undefined : event, usage, isEnd, isError: data === undefined || type === 'error' };
}

function simulated(body: JsonObject, model: string): { answer: JsonObject; events: StreamEvent[] } {
  const text = simulatedText(typeof body['input'] === 'string' ? body['input'] : lastContent(body['input']));
  const [inputTokens, outputTokens] = [Math.ceil(JSON.stringify(body).length / 4), Math.ceil(text.length / 4)];
  const part = { type: 'output_text', text, annotations: [] };
  const item = { id: 'msg_SIMULATED', type: 'message', role: 'assistant', status: 'completed', content: [part] };
  const head = { id: 'resp_SIMULATED', object: 'response', created_at: 0, model: `SIMULATED/${model}`, error: null };
  const usage = {
    ...{ input_tokens: inputTokens, output_tokens: outputTokens, total_tokens: inputTokens + outputTokens },
    ...{ input_tokens_details: { cached_tokens: 0 }, output_tokens_details: { reasoning_tokens: 0 } },
  };
  const answer = { ...head, status: 'completed', output: [item], usage };
  const place = { item_id: item.id, output_index: 0, content_index: 0 };
  const steps: (JsonObject & { type: string })[] = [
    { type: 'response.created', response: { ...head, status: 'in_progress', output: [] } },
    { type: 'response.output_item.added', output_index: 0, item: { ...item, status: 'in_progress', content: [] } },
    { type: 'response.content_part.added', ...place, part: { ...part, text: '' } },
    { type: 'response.output_text.delta', ...place, delta: text },
    { type: 'response.output_text.done', ...place, text },
    { type: 'response.content_part.done', ...place, part },
    { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: answer },
  ];
  return { answer, events: steps.map((step, index) => eventOf({ ...step, sequence_number: index }, step.type)) };
}
