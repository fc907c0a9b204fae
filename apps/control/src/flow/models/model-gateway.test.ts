import type { JsonObject, TenantId } from '@hivekeeper/contract';
import { newLog, systemClock } from '@hivekeeper/kernel';
import {
  answer,
  type Behaviour,
  chunks,
  completion,
  drip,
  type FaultProvider,
  guardLeaks,
  hang,
  startFaultProvider,
  stream,
} from '@hivekeeper/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ModelAnswer, type ModelCallRecord, ModelGateway, parseModelsFile } from './index.ts';

guardLeaks();

let [first, second]: FaultProvider[] = [];
let records: ModelCallRecord[];
let money: string[];
let logged: string[];
let gateway: ModelGateway;

const limits = { firstEventMs: 150, idleMs: 150, answerMs: 400, answerBytes: 100_000, retryWaitMs: 100 };
const price = { inputMicroUsd: 150_000, outputMicroUsd: 600_000 };
const fileOf = (more: JsonObject = {}) =>
  parseModelsFile(
    JSON.stringify({
      version: 1,
      providers: {
        one: { kind: 'openai', baseUrl: first?.url, key: { env: 'ONE' } },
        two: { kind: 'openai', baseUrl: second?.url, key: { env: 'TWO' } },
      },
      models: {
        a: { provider: 'one', name: 'model-a', price, mostOutputTokens: 100 },
        b: { provider: 'two', name: 'model-b', price: { ...price, inputMicroUsd: 1_000_000 }, mostOutputTokens: 100 },
      },
      classes: { fast: ['a', 'b'], alone: ['a'] },
      limits,
      breaker: { failures: 3, windowMs: 60_000, coolDownMs: 1_000 },
      ...more,
    }),
  );
const gatewayOf = (more: JsonObject = {}) => {
  let count = 0;
  return new ModelGateway({
    file: fileOf(more),
    keys: new Map([
      ['one', 'key-one'],
      ['two', 'key-two'],
    ]),
    budget: {
      reserve: (most) => {
        money.push(`reserve ${most}`);
        return Promise.resolve({ settle: (cost) => void money.push(`settle ${cost}`), release: () => void money.push('release') });
      },
    },
    record: (call) => void records.push(call),
    newCallId: () => `call_${(count += 1)}`,
    clock: systemClock,
    log: newLog({ level: 'info', component: 'test', destination: { write: (line) => void logged.push(line) } }),
  });
};

beforeAll(async () => {
  [first, second] = await Promise.all([startFaultProvider(), startFaultProvider()]);
});
afterAll(async () => {
  await Promise.all([first?.[Symbol.asyncDispose](), second?.[Symbol.asyncDispose]()]);
});
beforeEach(() => {
  [records, money, logged] = [[], [], []];
  gateway = gatewayOf();
});
afterEach(() => {
  const ends = money.filter((entry) => !entry.startsWith('reserve'));
  expect([ends.length, records.length]).toEqual([money.length / 2, money.length / 2]);
});
const plan = (one: readonly Behaviour[], two: readonly Behaviour[] = [answer(completion('from b'))]) => {
  first?.plan(...one);
  second?.plan(...two);
};

interface Ask {
  readonly model?: string;
  readonly body?: JsonObject;
  readonly signal?: AbortSignal;
}
const ask = ({ model = 'fast', body = {}, signal = new AbortController().signal }: Ask = {}): Promise<ModelAnswer> =>
  gateway.call({
    dialect: 'chat-completions',
    body: { model, messages: [{ role: 'user', content: 'hello' }], ...body },
    headers: {},
    caller: { tenantId: 'ten_1' as TenantId, subject: 'key' },
    signal,
  });
const textOf = async ({ body }: ModelAnswer): Promise<string> => {
  let text = '';
  for await (const frame of typeof body === 'string' ? [body] : body) text += frame;
  return text;
};
const askText = async (options?: Ask) => textOf(await ask(options));
const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => 'answered',
    (error: { code?: string }) => error.code,
  );

describe('a call', () => {
  it('reaches the provider as it was made, under the provider’s name for the model and with its key', async () => {
    plan([answer(completion('hello'))]);
    const body = { tools: [{ type: 'function', function: { name: 'add' } }], seed: 7, unheard_of: { a: [1] } };
    expect(JSON.parse(await askText({ body }))).toEqual(completion('hello'));
    expect(first?.asked[0]).toMatchObject({ path: '/v1/chat/completions', headers: { authorization: 'Bearer key-one' } });
    expect(first?.asked[0]?.body).toEqual({ model: 'model-a', messages: [{ role: 'user', content: 'hello' }], ...body });
  });

  it('is charged as the provider says, in micro-dollars rounded up, after the most it can cost was set aside', async () => {
    plan([answer(completion('hello'))]);
    await askText({ body: { max_tokens: 20 } });
    // 10 × 0.15 + 5 × 0.6 = 4.5; at most each of 79 bytes a token × 1 + 20 × 0.6 by the dearer of the two.
    expect(money).toEqual(['reserve 91', 'settle 5']);
    expect(records[0]).toMatchObject({ model: 'a', asked: 'fast', costMicroUsd: 5, isEstimated: false, outcome: 'answered' });
  });

  it.each([
    ['none', undefined],
    ['a negative one', { prompt_tokens: -3, completion_tokens: 5 }],
    ['words', { prompt_tokens: 'ten', completion_tokens: 5 }],
    ['half of one', { prompt_tokens: 10 }],
  ])('whose usage is wrong (%s) is charged by an estimate that is marked as one', async (_, usage) => {
    plan([answer({ ...completion('x'.repeat(400)), usage: usage as JsonObject | undefined })]);
    await askText();
    expect(records[0]).toMatchObject({ isEstimated: true, usage: { outputTokens: 100 }, outcome: 'answered' });
    expect(records[0]?.costMicroUsd).toBeGreaterThanOrEqual(60);
  });

  it('that the provider finds wrong is answered as the provider says, costs nothing and is made once', async () => {
    plan([answer({ error: { message: 'no such tool' } }, { status: 400 })]);
    const refused = await ask();
    expect({ status: refused.status, body: refused.body }).toEqual({ status: 400, body: '{"error":{"message":"no such tool"}}' });
    expect([first?.asked.length, second?.asked.length, money.at(-1), records[0]?.outcome]).toEqual([1, 0, 'release', 'refused']);
  });

  it('never shows a key: not to the caller, not in the log, not in what is kept', async () => {
    const echo = answer({ error: { message: 'key-one is not known' } }, { status: 400 });
    plan([echo]);
    expect(await askText()).not.toContain('key-one');
    plan([answer({ error: { message: 'key-one is not known' } }, { status: 401 })]);
    await askText();
    expect(JSON.stringify([records, logged])).not.toMatch(/key-(one|two)/);
    expect(records[1]).toMatchObject({ model: 'b', outcome: 'answered' });
  });

  it.each([
    ['no such name', 'nonsense', 'MODEL_UNKNOWN'],
    ['a name of JavaScript’s', 'constructor', 'MODEL_UNKNOWN'],
  ])('for %s is refused before anything is set aside', async (_, model, code) => {
    expect(await codeOf(ask({ model }))).toBe(code);
    expect([money, records]).toEqual([[], []]);
  });

  it('for a model without a price is refused unless the file allows it', async () => {
    const models = { a: { provider: 'one', name: 'model-a', mostOutputTokens: 100 } };
    gateway = gatewayOf({ models, classes: {} });
    expect(await codeOf(ask({ model: 'a' }))).toBe('MODEL_PRICE_UNKNOWN');
    gateway = gatewayOf({ models, classes: {}, allowUnknownPrices: true });
    plan([answer(completion('hello'))]);
    await askText({ model: 'a' });
    expect(records[0]).toMatchObject({ outcome: 'answered', costMicroUsd: undefined });
  });
});

describe('a provider that fails', () => {
  const html = answer('<html>busy</html>', { headers: { 'content-type': 'text/html' } });
  it.each<[string, Behaviour]>([
    ['answers 429', answer({}, { status: 429 })],
    ['answers 429 with Retry-After', answer({}, { status: 429, headers: { 'retry-after': '30' } })],
    ['answers 500', answer({}, { status: 500 })],
    ['answers 529', answer({}, { status: 529 })],
    ['answers 401', answer({}, { status: 401 })],
    ['sends us elsewhere', answer('', { status: 307, headers: { location: 'http://127.0.0.1:9/' } })],
    ['answers HTML', html],
    ['answers half a JSON', answer('{"choices":[{"mess')],
    ['breaks off', (response) => void response.writeHead(200, { 'content-length': '1000' }).write('{', () => response.destroy())],
    ['hangs', hang],
    ['answers more than may be', answer(completion('x'.repeat(200_000)))],
  ])('and %s is passed over for the next of the class', async (_, behaviour) => {
    plan([behaviour]);
    expect(await askText()).toContain('from b');
    expect([first?.asked.length, second?.asked.length]).toEqual([1, 1]);
    expect(records[0]?.tries.map(({ model, failure }) => [model, failure === undefined])).toEqual([
      ['a', false],
      ['b', true],
    ]);
  });

  it('in the middle of an answer is charged for what it may have done', async () => {
    plan([answer('{"choices":[{"mess')], [answer({}, { status: 500 })]);
    expect(await codeOf(ask())).toBe('MODEL_FAILED');
    expect([records[0]?.isEstimated, money.at(-1)]).toEqual([true, `settle ${records[0]?.costMicroUsd}`]);
  });

  it('before it did anything costs nothing', async () => {
    plan([answer({}, { status: 500 })], [answer({}, { status: 500 })]);
    expect(await codeOf(ask())).toBe('MODEL_FAILED');
    expect(money.at(-1)).toBe('release');
  });

  it('and is alone is asked again when it said, and not before', async () => {
    plan([answer({}, { status: 429, headers: { 'retry-after-ms': '60' } }), answer(completion('at last'))]);
    const startedMs = performance.now();
    expect(await askText({ model: 'alone' })).toContain('at last');
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(59);
  });

  it('and asks for more patience than there is, is left alone by the calls that follow, too', async () => {
    plan([answer({}, { status: 429, headers: { 'retry-after': '30' } })]);
    expect(await codeOf(ask({ model: 'alone' }))).toBe('MODEL_FAILED');
    expect(await codeOf(ask({ model: 'alone' }))).toBe('MODEL_UNAVAILABLE');
    expect(first?.asked).toHaveLength(1);
  });

  it('again and again is not asked any more, until one call tries', async () => {
    plan([answer({}, { status: 500 })]);
    for (let call = 0; call < 5; call += 1) await askText();
    expect([first?.asked.length, gateway.models()]).toEqual([
      3,
      [
        { id: 'a', isWell: false },
        { id: 'b', isWell: true },
      ],
    ]);
    plan([answer(completion('from a'))]);
    await expect.poll(() => askText(), { timeout: 3_000, interval: 100 }).toContain('from a');
    expect(gateway.models()[0]).toEqual({ id: 'a', isWell: true });
  });

  it('with all others costs no more than 1.2 times the calls, and ten', async () => {
    gateway = gatewayOf({ breaker: { failures: 1_000, windowMs: 60_000, coolDownMs: 1_000 } });
    plan([answer({}, { status: 500 })], [answer({}, { status: 500 })]);
    for (let call = 0; call < 100; call += 1) await codeOf(ask());
    const tries = (first?.asked.length ?? 0) + (second?.asked.length ?? 0);
    expect(tries).toBeGreaterThan(120);
    expect(tries).toBeLessThanOrEqual(130);
  });
});

describe('a stream', () => {
  const body = { stream: true };
  // The time of a whole answer is so long that it ends none of these.
  beforeEach(() => {
    gateway = gatewayOf({ limits: { ...limits, answerMs: 60_000 } });
  });

  it('comes as the provider sends it, without the usage that only the gateway asked for', async () => {
    plan([stream(chunks('hel', 'lo'))]);
    const text = await askText({ body });
    expect(text).toMatch(/"content":"hel".*"content":"lo".*data: \[DONE\]\n\n$/s);
    expect(text).not.toContain('usage');
    expect(first?.asked[0]?.body['stream_options']).toEqual({ include_usage: true });
    expect(records[0]).toMatchObject({ isEstimated: false, costMicroUsd: 5, outcome: 'answered', isStream: true });
  });

  it('has the usage where the caller asked for it', async () => {
    plan([stream(chunks('hello'))]);
    expect(await askText({ body: { ...body, stream_options: { include_usage: true } } })).toContain('"completion_tokens":5');
  });

  it.each<[string, Behaviour, string]>([
    ['is cut', stream(chunks('hel').slice(0, 1), 'cut'), 'MODEL_STREAM_CUT'],
    ['ends before its end', stream(chunks('hel').slice(0, 2)), 'MODEL_STREAM_CUT'],
    ['stops in the middle', stream(chunks('hel').slice(0, 1), 'hang'), 'MODEL_TIMED_OUT'],
    ['drips', drip, 'MODEL_TIMED_OUT'],
    ['turns into something else', stream([...chunks('hel').slice(0, 1), '<html>']), 'MODEL_STREAM_CUT'],
    ['is endless', stream([...chunks('hel').slice(0, 1), ...chunks('x'.repeat(200_000))]), 'MODEL_STREAM_CUT'],
  ])('that %s ends with an error, never as if it were whole', async (_, behaviour, code) => {
    plan([behaviour]);
    const text = await askText({ body });
    expect(text.trimEnd().split('\n\n').at(-1)).toContain(`"code":"${code}"`);
    expect(text).not.toContain('[DONE]');
    expect(records[0]).toMatchObject({ outcome: 'cut', isEstimated: true });
    expect(money.at(-1)).toMatch(/^settle [1-9]/);
  });

  it.each<[string, Behaviour]>([
    ['never begins', hang],
    ['begins with an error', stream([{ error: { message: 'overloaded' } }])],
    ['is empty', stream([])],
    ['is none', answer(completion('whole'))],
  ])('that %s is asked for elsewhere', async (_, behaviour) => {
    plan([behaviour], [stream(chunks('from b'))]);
    expect(await askText({ body })).toContain('from b');
  });

  it('that the caller leaves frees the provider’s connection within a second, and is charged', async () => {
    plan([stream(chunks('hel').slice(0, 1), 'hang')]);
    const caller = new AbortController();
    const answered = await ask({ body, signal: caller.signal });
    const startedMs = performance.now();
    caller.abort();
    await first?.hungUp();
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    expect(records[0]).toMatchObject({ outcome: 'aborted', isEstimated: true });
    await textOf(answered);
    expect(records).toHaveLength(1);
  });

  it('that the caller leaves before it begins frees the provider’s connection, too', async () => {
    plan([hang]);
    const caller = new AbortController();
    const asking = ask({ body, signal: caller.signal });
    await expect.poll(() => first?.asked.length).toBe(1);
    caller.abort();
    await expect(asking).rejects.toThrow();
    await first?.hungUp();
    expect([records[0]?.outcome, second?.asked.length]).toEqual(['aborted', 0]);
  });
});
