import { HiveError } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { parseModelsFile } from './catalogue.ts';
import { nextStep } from './next-step.ts';
import { costOf } from './price.ts';
import { retryAfterMs } from './upstream.ts';

const provider = { kind: 'openai', baseUrl: 'https://api.example.org/v1', key: { env: 'KEY' } };
const model = { provider: 'one', name: 'm', price: { inputMicroUsd: 1, outputMicroUsd: 2 }, mostOutputTokens: 10 };
const file = { version: 1, providers: { one: provider }, models: { a: model }, classes: { fast: ['a'] } };
const pathsIn = (value: unknown): readonly string[] => {
  try {
    parseModelsFile(typeof value === 'string' ? value : JSON.stringify(value));
    return [];
  } catch (error) {
    return HiveError.is(error) && error.code === 'CONFIGURATION_INVALID' ? error.issues.map(({ path }) => path) : [String(error)];
  }
};

describe('a models file', () => {
  it('that is in order is taken, with its limits filled in', () => {
    expect(pathsIn(file)).toEqual([]);
    expect(parseModelsFile(JSON.stringify(file))).toMatchObject({
      allowUnknownPrices: false,
      limits: { idleMs: 60_000 },
      breaker: { failures: 5 },
    });
  });

  const withProvider = (more: object) => ({ ...file, providers: { one: { ...provider, ...more } } });
  const withModel = (more: object) => ({ ...file, models: { a: { ...model, ...more } } });
  it.each<[string, unknown, string]>([
    ['that is no JSON', '{', ''],
    ['of another version', { ...file, version: 2 }, '/version'],
    ['with a key that nobody knows', { ...file, clases: {} }, ''],
    ['with an unknown key of a model', withModel({ prise: 1 }), '/models/a'],
    ['with a price in fractions', withModel({ price: { inputMicroUsd: 0.5, outputMicroUsd: 1 } }), '/models/a/price/inputMicroUsd'],
    ['with a negative price', withModel({ price: { inputMicroUsd: -1, outputMicroUsd: 1 } }), '/models/a/price/inputMicroUsd'],
    ['with a provider that is not there', withModel({ provider: 'two' }), '/models/a/provider'],
    ['with an API that the provider does not speak', withModel({ dialects: ['messages'] }), '/models/a/dialects'],
    ['with a class of models that are not there', { ...file, classes: { fast: ['b'] } }, '/classes/fast'],
    ['with a class that is called as a model', { ...file, classes: { a: ['a'] } }, '/classes/a'],
    ['with a provider without TLS elsewhere', withProvider({ baseUrl: 'http://api.example.org/v1' }), '/providers/one/baseUrl'],
    ['with a host that only begins as loopback', withProvider({ baseUrl: 'http://127.0.0.1.example.org/' }), '/providers/one/baseUrl'],
    ['with a key in an address', withProvider({ baseUrl: 'https://me:secret@api.example.org/' }), '/providers/one/baseUrl'],
    ['with a key in the file itself', withProvider({ key: 'sk-1' }), '/providers/one/key'],
  ])('%s is refused, and the place is named', (_, value, path) => {
    expect(pathsIn(value)).toContain(path);
  });
});

describe('what tokens cost', () => {
  const price = { inputMicroUsd: 3_000_000, cachedInputMicroUsd: 300_000, outputMicroUsd: 15_000_000 };

  it('is exact beyond what numbers hold, and rounded up once', () => {
    const billion = 1_000_000_000;
    expect(costOf({ inputTokens: billion, cachedInputTokens: 0, outputTokens: billion }, price)).toBe(18 * billion);
    expect(costOf({ inputTokens: 1, cachedInputTokens: 1, outputTokens: 0 }, price)).toBe(1);
    expect(costOf({ inputTokens: 0, cachedInputTokens: 0, outputTokens: 0 }, price)).toBe(0);
  });

  it('is less for what the provider had in its cache, never for more than was sent', () => {
    expect(costOf({ inputTokens: 100, cachedInputTokens: 40, outputTokens: 0 }, price)).toBe(60 * 3 + 12);
    expect(costOf({ inputTokens: 100, cachedInputTokens: 400, outputTokens: 0 }, price)).toBe(30);
  });
});

describe('the next step of a call', () => {
  const failed = (modelId: string, retryAfter?: number, isRetryable = true) => ({ modelId, isRetryable, retryAfterMs: retryAfter });

  it.each([
    ['asks the first', [], { kind: 'try', modelId: 'a', waitMs: 0 }],
    ['asks the next at once', [failed('a', 10)], { kind: 'try', modelId: 'b', waitMs: 0 }],
    ['waits for the one that is ready first', [failed('a', 90), failed('b', 20)], { kind: 'try', modelId: 'b', waitMs: 20 }],
    ['waits half a second where nobody says', [failed('a', 900), failed('b')], { kind: 'try', modelId: 'b', waitMs: 500 }],
    ['waits once', [failed('a'), failed('b'), failed('b')], { kind: 'give-up' }],
    ['does not wait longer than it may', [failed('a', 1_001), failed('b', 2_000)], { kind: 'give-up' }],
    ['does not ask again what will fail again', [failed('a', 0, false), failed('b', 0, false)], { kind: 'give-up' }],
  ])('%s', (_, before, step) => {
    expect(nextStep(['a', 'b'], before, 1_000)).toEqual(step);
  });
});

it.each([
  [{ 'retry-after': '2' }, 2_000],
  [{ 'retry-after': '0.5' }, 500],
  [{ 'retry-after': 'Thu, 01 Jan 1970 00:01:10 GMT' }, 10_000],
  [{ 'retry-after': 'Thu, 01 Jan 1970 00:00:10 GMT' }, 0],
  [{ 'retry-after': 'soon' }, undefined],
  [{ 'retry-after': '9', 'retry-after-ms': '30' }, 30],
  [{}, undefined],
])('Retry-After of %o is %s ms', (headers, waitMs) => {
  expect(retryAfterMs(new Headers(headers as Record<string, string>), 60_000)).toBe(waitMs);
});
