import type { JsonObject } from '@hivekeeper/contract';
import { z } from 'zod';
import { tokenCount, type Usage } from '../usage.ts';
import type { Dialect, ReadEvent, Seen, StreamEvent } from './dialect.ts';
import { eventOf, firstLimit, lastContent, objectIn, simulatedText } from './json.ts';

const usageSchema = z.looseObject({
  input_tokens: tokenCount.nullish(),
  cache_creation_input_tokens: tokenCount.nullish(),
  cache_read_input_tokens: tokenCount.nullish(),
  output_tokens: tokenCount.nullish(),
});
type Told = z.output<typeof usageSchema>;

// Anthropic counts what comes from its cache and goes into it apart from the rest of the input.
function usageFrom(told: Told | undefined): Usage | undefined {
  if (told?.input_tokens === undefined || told.input_tokens === null) return undefined;
  const cachedInputTokens = told.cache_read_input_tokens ?? 0;
  return {
    inputTokens: told.input_tokens + (told.cache_creation_input_tokens ?? 0) + cachedInputTokens,
    cachedInputTokens,
    outputTokens: told.output_tokens ?? 0,
  };
}

/** https://docs.anthropic.com/en/api/messages */
export const messages: Dialect = {
  name: 'messages',
  path: '/messages',
  outgoing: (body, model) => ({ ...body, model }),
  isAnswer: (answer) => answer['type'] === 'message' && Array.isArray(answer['content']),
  usageOf: (answer) => {
    const told = usageSchema.safeParse(answer['usage']).data;
    return told?.output_tokens === undefined || told.output_tokens === null ? undefined : usageFrom(told);
  },
  outputLimitOf: (body) => firstLimit(body['max_tokens']),
  reader: () => newReader(),
  failure: (code, message) => eventOf({ type: 'error', error: { type: 'api_error', message: `${code}: ${message}` } }, 'error'),
  simulated,
};

/** The usage comes in two parts: of the input at the start, of the output at the end; what comes later counts. */
function newReader(): ReadEvent {
  let told: Told = {};
  return (event): Seen => {
    const data = objectIn(event.data);
    const type = data?.['type'];
    const usage = type === 'message_start' ? (data?.['message'] as JsonObject | undefined)?.['usage'] : data?.['usage'];
    const news = usageSchema.safeParse(usage).data;
    if (news !== undefined) told = { ...told, ...withoutEmpty(news) };
    return {
      forward: data === undefined ? undefined : event,
      usage: type === 'message_delta' && news !== undefined ? usageFrom(told) : undefined,
      isEnd: type === 'message_stop',
      isError: data === undefined || type === 'error',
    };
  };
}

const withoutEmpty = (told: Told): Told => Object.fromEntries(Object.entries(told).filter(([, value]) => value !== null));

function simulated(body: JsonObject, model: string): { answer: JsonObject; events: StreamEvent[] } {
  const text = simulatedText(lastContent(body['messages']));
  const usage = { input_tokens: Math.ceil(JSON.stringify(body).length / 4), output_tokens: Math.ceil(text.length / 4) };
  const head = { id: 'msg_SIMULATED', type: 'message', role: 'assistant', model: `SIMULATED/${model}`, stop_sequence: null };
  const answer = { ...head, content: [{ type: 'text', text, citations: null }], stop_reason: 'end_turn', usage };
  const event = (data: JsonObject & { type: string }) => eventOf(data, data.type);
  const events = [
    event({ type: 'message_start', message: { ...head, content: [], stop_reason: null, usage: { ...usage, output_tokens: 0 } } }),
    event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
    event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }),
    event({ type: 'content_block_stop', index: 0 }),
    event({
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { output_tokens: usage.output_tokens },
    }),
    event({ type: 'message_stop' }),
  ];
  return { answer, events };
}
