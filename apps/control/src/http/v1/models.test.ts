import type { AddressInfo } from 'node:net';
import Anthropic from '@anthropic-ai/sdk';
import { type JsonObject, type LeasedTicket, runIdSchema } from '@hivekeeper/contract';
import { newLog, systemClock } from '@hivekeeper/kernel';
import { answer, chunks, completion, FakeClock, guardLeaks, seededRandom, startFaultProvider, stream } from '@hivekeeper/testkit';
import OpenAI from 'openai';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { type ModelCallRecord, ModelGateway, parseModelsFile } from '../../flow/models/index.ts';
import { openDoor } from '../testing/door.ts';
import { deploy, poll, register, settle, start, workerId } from '../testing/scenes.ts';

guardLeaks();

const provider = await startFaultProvider();
const records: ModelCallRecord[] = [];
const price = { inputMicroUsd: 1_000_000, outputMicroUsd: 2_000_000 };
const file = parseModelsFile(
  JSON.stringify({
    version: 1,
    providers: {
      openai: { kind: 'openai', baseUrl: provider.url, key: { env: 'O' } },
      anthropic: { kind: 'anthropic', baseUrl: provider.url, key: { env: 'A' } },
      pretend: { kind: 'simulated' },
    },
    models: {
      gpt: { provider: 'openai', name: 'gpt-4o-mini', price, mostOutputTokens: 100 },
      claude: { provider: 'anthropic', name: 'claude-x', price, mostOutputTokens: 100 },
      sim: { provider: 'pretend', name: 'echo', price, mostOutputTokens: 100 },
    },
    classes: { fast: ['gpt', 'claude', 'sim'] },
  }),
);
let count = 0;
const gateway = new ModelGateway({
  file,
  keys: new Map([
    ['openai', 'provider-key-o'],
    ['anthropic', 'provider-key-a'],
  ]),
  record: (call) => void records.push(call),
  newCallId: () => `call_${(count += 1)}`,
  clock: systemClock,
  log: newLog({ level: 'silent', component: 'test' }),
});
const door = await openDoor({ clock: new FakeClock(), random: seededRandom(1) });
Object.assign(door.services, { models: gateway });
await door.app.listen({ port: 0, host: '127.0.0.1' });
const base = `http://127.0.0.1:${(door.app.server.address() as AddressInfo).port}`;
const openai = new OpenAI({ baseURL: `${base}/v1`, apiKey: door.keys.admin, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: base, apiKey: door.keys.admin, maxRetries: 0 });
afterAll(async () => {
  await door[Symbol.asyncDispose]();
  await provider[Symbol.asyncDispose]();
});
beforeEach(() => {
  records.length = 0;
});

const user = [{ role: 'user' as const, content: 'hello' }];
const failureOf = (call: PromiseLike<unknown>): Promise<Record<string, unknown>> =>
  Promise.resolve(call).then(
    () => ({ status: 'answered' }),
    (error: Record<string, unknown>) => error,
  );

describe('the official openai client', () => {
  it('chats', async () => {
    provider.plan(answer(completion('hi')));
    const said = await openai.chat.completions.create({ model: 'fast', messages: user });
    expect(said.choices[0]?.message.content).toBe('hi');
    expect(provider.asked[0]?.headers.authorization).toBe('Bearer provider-key-o');
    expect(JSON.stringify(provider.asked)).not.toContain(door.keys.admin);
    expect(records[0]).toMatchObject({ model: 'gpt', subject: expect.any(String) as string, costMicroUsd: 20, isSimulated: false });
  });

  it('streams, and sees an error where the stream is cut', async () => {
    provider.plan(stream(chunks('hel', 'lo')), stream(chunks('hel').slice(0, 1), 'cut'));
    const texts: string[] = [];
    for await (const chunk of await openai.chat.completions.create({ model: 'fast', messages: user, stream: true }))
      texts.push(chunk.choices[0]?.delta.content ?? '');
    expect(texts.join('')).toBe('hello');
    const cut = await openai.chat.completions.create({ model: 'fast', messages: user, stream: true });
    const reading = (async () => {
      for await (const chunk of cut) texts.push(chunk.id);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'MODEL_STREAM_CUT' });
  });

  it('calls tools, its answer passing through whole', async () => {
    const call = { id: 'c1', type: 'function', function: { name: 'add', arguments: '{"a":1}' } };
    const told = completion('');
    const choices = [{ index: 0, finish_reason: 'tool_calls', message: { role: 'assistant', content: null, tool_calls: [call] } }];
    provider.plan(answer({ ...told, choices }));
    const tools = [{ type: 'function' as const, function: { name: 'add', parameters: { type: 'object' } } }];
    const said = await openai.chat.completions.create({ model: 'fast', messages: user, tools });
    expect(said.choices[0]?.message.tool_calls).toEqual([call]);
    expect(provider.asked[0]?.body['tools']).toEqual(tools);
  });

  it('embeds', async () => {
    provider.plan(
      answer({ object: 'list', model: 'm', data: [{ object: 'embedding', index: 0, embedding: [0.5] }], usage: { prompt_tokens: 3 } }),
    );
    const said = await openai.embeddings.create({ model: 'gpt', input: 'hello', encoding_format: 'float' });
    expect(said.data[0]?.embedding).toEqual([0.5]);
    expect([provider.asked[0]?.path, records[0]?.costMicroUsd]).toEqual(['/v1/embeddings', 3]);
  });

  it('asks by the Responses API, whole and as a stream', async () => {
    expect((await openai.responses.create({ model: 'sim', input: 'hello' })).output_text).toBe('SIMULATED reply to hello');
    const types: string[] = [];
    for await (const event of await openai.responses.create({ model: 'sim', input: 'hello', stream: true })) types.push(event.type);
    expect(types.at(-1)).toBe('response.completed');
  });

  it('frees the provider within a second when it hangs up', async () => {
    provider.plan(stream(chunks('hel').slice(0, 1), 'hang'));
    const streaming = await openai.chat.completions.create({ model: 'fast', messages: user, stream: true });
    await streaming[Symbol.asyncIterator]().next();
    const startedMs = performance.now();
    streaming.controller.abort();
    await provider.hungUp();
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    await expect.poll(() => records[0]?.outcome).toBe('aborted');
  });

  it('understands errors: those of the provider, and ours', async () => {
    provider.plan(
      answer({ error: { message: 'no such tool', type: 'invalid_request_error', param: 'tools', code: null } }, { status: 400 }),
    );
    expect(await failureOf(openai.chat.completions.create({ model: 'fast', messages: user }))).toMatchObject({
      status: 400,
      param: 'tools',
    });
    expect(await failureOf(openai.chat.completions.create({ model: 'none', messages: user }))).toMatchObject({
      status: 404,
      code: 'MODEL_UNKNOWN',
    });
    provider.plan(answer({}, { status: 500 }));
    expect(await failureOf(openai.chat.completions.create({ model: 'gpt', messages: user }))).toMatchObject({
      status: 502,
      code: 'MODEL_FAILED',
    });
    const stranger = new OpenAI({ baseURL: `${base}/v1`, apiKey: 'nobody', maxRetries: 0 });
    expect(await failureOf(stranger.chat.completions.create({ model: 'fast', messages: user }))).toMatchObject({ status: 401 });
  });
});

describe('the official anthropic client', () => {
  const asking = { model: 'fast', max_tokens: 50, messages: user };
  const usage = { input_tokens: 4, cache_read_input_tokens: 6, output_tokens: 5 };
  const message = (more: JsonObject): JsonObject => ({ id: 'm1', type: 'message', role: 'assistant', model: 'claude-x', usage, ...more });

  it('talks, and calls tools', async () => {
    provider.plan(answer(message({ content: [{ type: 'tool_use', id: 't1', name: 'add', input: { a: 1 } }], stop_reason: 'tool_use' })));
    const said = await anthropic.messages.create({ ...asking, tools: [{ name: 'add', input_schema: { type: 'object' } }] });
    expect(said.content[0]).toMatchObject({ type: 'tool_use', input: { a: 1 } });
    expect(provider.asked[0]).toMatchObject({
      path: '/v1/messages',
      headers: { 'x-api-key': 'provider-key-a', 'anthropic-version': expect.stringMatching(/^\d{4}-\d\d-\d\d$/) as string },
    });
    expect(JSON.stringify(provider.asked)).not.toContain(door.keys.admin);
    // What came from the provider's cache is input, too.
    expect(records[0]).toMatchObject({
      model: 'claude',
      usage: { inputTokens: 10, cachedInputTokens: 6, outputTokens: 5 },
      costMicroUsd: 20,
    });
  });

  const start = { type: 'message_start', message: message({ content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } }) };
  const delta = { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'hi' } };
  const block = { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } };

  it('streams, and sees an error where the stream is cut', async () => {
    const end = [{ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 5 } }, { type: 'message_stop' }];
    provider.plan(stream([start, block, delta, { type: 'content_block_stop', index: 0 }, ...end]), stream([start, block, delta], 'cut'));
    expect(await anthropic.messages.stream(asking).finalText()).toBe('hi');
    expect(records[0]).toMatchObject({ isEstimated: false, usage: { inputTokens: 10, outputTokens: 5 }, outcome: 'answered' });
    expect(String((await failureOf(anthropic.messages.stream(asking).finalText()))['message'])).toContain('MODEL_STREAM_CUT');
    expect(records[1]?.outcome).toBe('cut');
  });

  it('understands errors', async () => {
    provider.plan(answer({ type: 'error', error: { type: 'invalid_request_error', message: 'too many' } }, { status: 400 }));
    expect(await failureOf(anthropic.messages.create(asking))).toMatchObject({ status: 400 });
    expect(await failureOf(anthropic.messages.create({ ...asking, model: 'gpt' }))).toMatchObject({
      status: 422,
      error: { error: { code: 'MODEL_DIALECT_MISSING' } },
    });
  });
});

it('a simulated model says so in every API, whole and as a stream', async () => {
  const bodies = [
    ['/v1/chat/completions', { messages: user }],
    ['/v1/messages', { messages: user }],
    ['/v1/responses', { input: 'hello' }],
    ['/v1/embeddings', { input: 'hello' }],
  ] as const;
  for (const [url, body] of bodies) {
    const { status, body: said } = await door.call(`POST ${url}`, { body: { model: 'sim', ...body } });
    expect([url, status, JSON.stringify(said).includes('SIMULATED')]).toEqual([url, 200, true]);
    if (url === '/v1/embeddings') continue;
    const { text, headers } = await door.call(`POST ${url}`, { body: { model: 'sim', stream: true, ...body } });
    expect([url, headers['content-type'], text.includes('SIMULATED')]).toEqual([url, 'text/event-stream; charset=utf-8', true]);
  }
  expect(records.every(({ isSimulated, outcome }) => isSimulated && outcome === 'answered')).toBe(true);
});

it('a call tells which model answered, and whose run it was for', async () => {
  const runId = runIdSchema.parse('run_01JD0000000000000000000000');
  const body = { model: 'sim', messages: user };
  const headers = { 'x-hive-run-id': runId, 'x-hive-node-id': 'review' };
  const { headers: told } = await door.call('POST /v1/chat/completions', { body, headers });
  expect(told).toMatchObject({ 'x-hive-model': 'sim', 'x-hive-call-id': records[0]?.id });
  expect(records[0]).toMatchObject({ runId, nodeId: 'review' });
  expect((await door.call('POST /v1/chat/completions', { body, headers: { 'x-hive-run-id': 'mine' } })).status).toBe(400);
});

it('an agent at work calls by its worker, for as long as its ticket is its own', async () => {
  await deploy(door);
  await register(door);
  const runId = await start(door);
  const [ticket] = (await poll(door)).tickets;
  const call = (token: string | undefined) =>
    door.call('POST /v1/worker/model-calls', {
      key: door.keys.worker,
      body: {
        ...{ workerId, ticketId: ticket?.ticketId, token, runId, nodeId: 'scan', dialect: 'messages', headers: {} },
        question: { model: 'sim', messages: user },
      },
    });
  expect((await call(ticket?.token)).body.content[0].text).toBe('SIMULATED reply to hello');
  expect(records[0]).toMatchObject({ runId, nodeId: 'scan', subject: `worker:${workerId}` });
  expect((await call('1.999')).body.error.code).toBe('TICKET_NOT_HELD');
  await settle(door, ticket as LeasedTicket);
  expect((await call(ticket?.token)).body.error.code).toBe('TICKET_NOT_HELD');
  expect(records).toHaveLength(1);
});

it('metrics tell of calls by model, in our words and in Maestro’s', async () => {
  await door.call('POST /v1/messages', { body: { model: 'sim', messages: user } });
  const { text } = await door.call('GET /metrics');
  expect(text).toMatch(/^hive_model_calls_total\{model="sim",dialect="messages",outcome="answered"\} [1-9]\d*$/m);
  expect(text).toMatch(/^maestro_ai_model_requests_total\{model="gpt",operation="chat-completions",status="cut"\} 1$/m);
  expect(text).toMatch(/^maestro_model_availability\{model_id="claude"\} [01]$/m);
  const figure = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  expect(figure('maestro_total_cost')).toBeGreaterThan(0);
  expect(text).toMatch(/^maestro_external_api_response_time\{provider="openai"\} \d/m);
});

it('a control plane without a models file says so', async () => {
  Object.assign(door.services, { models: undefined });
  const { status, body } = await door.call('POST /v1/messages', { body: { model: 'fast', messages: user } });
  expect([status, body.error.code]).toEqual([404, 'MODELS_NOT_CONFIGURED']);
  Object.assign(door.services, { models: gateway });
});
