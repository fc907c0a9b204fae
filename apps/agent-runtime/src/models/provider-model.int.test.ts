import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { HiveError, type JsonObject } from '@hivekeeper/contract';
import { systemClock } from '@hivekeeper/kernel';
import { guardLeaks } from '@hivekeeper/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseAgentFile } from '../config/read.ts';
import type { Model } from '../task/index.ts';
import { modelOf } from './index.ts';

guardLeaks();

interface Canned {
  readonly status?: number;
  readonly silent?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

const never = new AbortController().signal;
let server: Server;
let url: string;
let asked: { readonly path: string; readonly headers: Readonly<Record<string, unknown>>; readonly body: JsonObject }[];
let answers: Canned[];

beforeAll(async () => {
  server = createServer((request, response) => {
    void json(request)
      .catch(() => ({}))
      .then((body) => {
        asked.push({ path: request.url ?? '', headers: request.headers, body: body as JsonObject });
        const { status = 200, headers = {}, body: answer, silent = false }: Canned = answers.shift() ?? { status: 404, body: {} };
        if (silent) return;
        response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(answer));
      });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});
beforeEach(() => {
  asked = [];
  answers = [];
});

const modelFor = (provider: string, more = ''): Promise<Model> => {
  const file = parseAgentFile(
    `[agent]\nid = "a"\ndescription = "d"\n[mqtt]\nbroker_url = "mqtt://b"\n[llm]\nprovider = "${provider}"\nmodel = "m"\napi_key_env = "KEY"\nbase_url = "${url}"\ntemperature = 0.5\n${more}`,
  );
  return modelOf(file.llm, { clock: systemClock, environment: { KEY: 'sk-1' } });
};
const tools = [{ name: 'add', description: 'Adds', parameters: { type: 'object', properties: { a: { type: 'number' } } } }];
const talk = [
  { role: 'system', text: 'Be kind.' },
  { role: 'user', text: 'Add' },
] as const;
const afterCall = [
  ...talk,
  { role: 'assistant', text: '', toolCalls: [{ id: 'c1', name: 'add', args: { a: 1 } }] },
  { role: 'tool', outputs: [{ id: 'c1', name: 'add', text: '2', isError: false }] },
] as const;

const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
const openaiAnswer = (message: object, finish_reason = 'stop') => ({
  body: {
    id: 'x',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', ...message }, finish_reason }],
    usage,
  },
});
const openai = {
  calls: openaiAnswer(
    { content: null, tool_calls: [{ id: 'c1', type: 'function', function: { name: 'add', arguments: '{"a":1}' } }] },
    'tool_calls',
  ),
  text: openaiAnswer({ content: 'two' }),
};
const anthropicAnswer = (content: readonly object[], stop_reason: string) => ({
  body: {
    id: 'x',
    type: 'message',
    role: 'assistant',
    model: 'm',
    content,
    stop_reason,
    stop_sequence: null,
    usage: { input_tokens: 1, output_tokens: 1 },
  },
});
const anthropic = {
  calls: anthropicAnswer([{ type: 'tool_use', id: 'c1', name: 'add', input: { a: 1 } }], 'tool_use'),
  text: anthropicAnswer([{ type: 'text', text: 'two' }], 'end_turn'),
};

describe.each([
  ['openai', openai, { path: '/v1/chat/completions', headers: { authorization: 'Bearer sk-1' } }],
  ['openai-compatible', openai, { path: '/v1/chat/completions', headers: { authorization: 'Bearer sk-1' } }],
  ['anthropic', anthropic, { path: '/v1/messages', headers: { 'x-api-key': 'sk-1' } }],
])('a model of %s', (provider, canned, request) => {
  it('is told of tools, calls them, and is told what came of it', async () => {
    const model = await modelFor(provider);
    answers = [canned.calls, canned.text];
    expect(await model.reply({ messages: talk, tools, signal: never })).toEqual({
      text: '',
      toolCalls: [{ id: 'c1', name: 'add', args: { a: 1 } }],
    });
    expect(await model.reply({ messages: afterCall, tools, signal: never })).toEqual({ text: 'two', toolCalls: [] });
    expect(asked[0]).toMatchObject({ ...request, body: { model: 'm', temperature: 0.5, max_tokens: 4_096 } });
    expect(JSON.stringify(asked[0]?.body)).toContain('Be kind.');
    expect(JSON.stringify(asked[0]?.body['tools'])).toContain('"add"');
    const sent = JSON.stringify(asked[1]?.body['messages']);
    expect(sent).toContain('c1');
    expect(sent).toContain('"2"');
  });

  it('is asked again when it says so', async () => {
    const model = await modelFor(provider);
    answers = [{ status: 429, headers: { 'retry-after-ms': '20' }, body: { error: { message: 'slow down' } } }, canned.text];
    expect(await model.reply({ messages: talk, tools: [], signal: never })).toMatchObject({ text: 'two' });
    expect(asked).toHaveLength(2);
  });

  it('that refuses is not asked again, and what it said is told', async () => {
    const model = await modelFor(provider);
    answers = [{ status: 400, body: { type: 'error', error: { type: 'x', message: 'no such model' } } }];
    const failure = await model.reply({ messages: talk, tools: [], signal: never }).catch((error: unknown) => error);
    expect(HiveError.is(failure) && failure.code).toBe('MODEL_FAILED');
    expect(String(failure)).toMatch(/HTTP 400: .*no such model/);
    expect(asked).toHaveLength(1);
  });

  it('that says nothing is waited for no longer than it may', async () => {
    const model = await modelFor(provider, 'request_timeout_secs = 0.1');
    answers = [{ silent: true, body: {} }];
    const failure = await model.reply({ messages: talk, tools: [], signal: never }).catch((error: unknown) => error);
    expect(HiveError.is(failure) && failure.code).toBe('MODEL_FAILED');
    expect(String(failure)).toMatch(/timeout/i);
  });

  it('does not start with a key that is not taken, and does where nobody answers', async () => {
    const model = await modelFor(provider);
    answers = [{ status: 401, body: {} }];
    await expect(model.check(never)).rejects.toThrow('does not take the key');
    answers = [{ status: 503, body: {} }];
    await expect(model.check(never)).resolves.toBeUndefined();
  });
});

it('a model without its key does not start', async () => {
  const section = parseAgentFile(
    '[agent]\nid = "a"\ndescription = "d"\n[mqtt]\nbroker_url = "mqtt://b"\n[llm]\nprovider = "openai"\nmodel = "m"\napi_key_env = "KEY"',
  ).llm;
  await expect(modelOf(section, { clock: systemClock, environment: {} })).rejects.toThrow('the variable KEY is not set');
});
