import { agentSpecSchema, type JsonValue, leasedTicketSchema, type MemoEntry } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { newSchemaCheck, type Task } from '../attempt/index.ts';
import { calledBack, executionOf, retryAfterMs } from './answer.ts';

const ulid = '01JD0000000000000000000000';
const agent = agentSpecSchema.parse({
  ...{ name: 'remote', version: '1.0.0', kind: 'http', trust: 'untrusted', dependsOn: { forge: {} } },
  http: { url: 'https://agents.example.com/', secretVariable: 'SECRET', callbackTimeoutMs: 60_000 },
});
const taskOf = ({ attempt = 1, memo = [] }: { readonly attempt?: number; readonly memo?: readonly MemoEntry[] } = {}): Task => ({
  ticket: {
    ...leasedTicketSchema.parse({
      ...{ ticketId: `tkt_${ulid}.1`, token: '1.1', runId: `run_${ulid}`, nodeId: 'n', slot: 0, attempt, agent, input: {} },
      ...{ timeoutMs: 1_000, leaseMs: 1_000 },
    }),
    memo: [...memo] as never,
  },
  rules: { outputSchema: { required: ['total'] } },
  check: newSchemaCheck(),
});
const answered = (status: number, body: JsonValue | string = '', more: { readonly retryAfter?: string; readonly task?: Task } = {}) =>
  executionOf(
    { status, body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), retryAfter: more.retryAfter },
    more.task ?? taskOf(),
    {
      key: 'k',
      nowMs: 0,
    },
  );
const codeOf = (execution: ReturnType<typeof answered>) =>
  execution.kind === 'finished' && !execution.outcome.ok ? execution.outcome.error.code : execution.kind;

describe('an answer', () => {
  it('of 200 is the outcome, held against the schema, with what it cost', () => {
    expect(answered(200, { output: { total: 3 }, costMicroUsd: 5 })).toEqual({
      kind: 'finished',
      outcome: { ok: true, output: { total: 3 } },
      costMicroUsd: 5,
    });
    expect(codeOf(answered(200, { output: {} }))).toBe('AGENT_OUTPUT_SCHEMA');
    expect(codeOf(answered(200, { error: { message: 'no' } }))).toBe('AGENT_FAILED');
    expect(answered(200, { error: { message: 'down', dependency: 'forge' } })).toMatchObject({
      outcome: { error: { code: 'DEPENDENCY_FAILED', dependency: 'forge' } },
    });
  });

  it.each(['', 'nonsense', '{"total":3}', '[]', '{"output":1,"error":{"message":"x"}}', '{"output":"\\u0000"}'])(
    'of 200 with %j is no outcome',
    (body) => expect(codeOf(answered(200, body))).toBe('AGENT_OUTPUT_INVALID'),
  );

  it('of 202 lets the run wait for the callback', () => {
    expect(answered(202, '', { task: taskOf({ attempt: 3 }) })).toEqual({
      kind: 'suspended',
      suspension: { kind: 'signal', step: 'callback 3', name: 'http.callback', key: 'k', expiresAfterMs: 60_000 },
    });
  });

  it.each([
    [302, 'AGENT_REFUSED'],
    [400, 'AGENT_REFUSED'],
    [401, 'AGENT_REFUSED'],
    [404, 'AGENT_REFUSED'],
    [408, 'AGENT_BUSY'],
    [429, 'AGENT_BUSY'],
    [503, 'AGENT_BUSY'],
    [500, 'AGENT_FAILED'],
    [502, 'AGENT_FAILED'],
    [204, 'AGENT_OUTPUT_INVALID'],
  ])('of %i is %s', (status, code) => expect(codeOf(answered(status, 'words'))).toBe(code));

  it('tells what the agent said of its failure', () => {
    expect(answered(500, { error: { message: 'out of paper' } })).toMatchObject({
      outcome: { error: { code: 'AGENT_FAILED', message: 'out of paper' } },
    });
    expect(answered(400, { error: { message: 'no target' } })).toMatchObject({
      outcome: { error: { message: 'The agent answered 400: no target' } },
    });
  });

  it('of 429 with a time waits for it without a worker, and not for ever', () => {
    expect(answered(429, '', { retryAfter: '7', task: taskOf({ attempt: 2 }) })).toEqual({
      kind: 'suspended',
      suspension: { kind: 'timer', step: 'busy 2', forMs: 7_000 },
    });
    expect(codeOf(answered(500, '', { retryAfter: '7' }))).toBe('AGENT_FAILED');
    const memo = Array.from({ length: 20 }, (_, index): MemoEntry => ({ step: `busy ${index}`, outcome: { ok: true, output: null } }));
    expect(codeOf(answered(503, '', { retryAfter: '7', task: taskOf({ attempt: 21, memo }) }))).toBe('AGENT_BUSY');
  });

  it.each([
    ['0', 1],
    ['120', 120_000],
    ['Thu, 01 Jan 1970 00:00:30 GMT', 30_000],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 1],
    ['3601', undefined],
    ['soon', undefined],
    ['-1', undefined],
  ])('Retry-After %j is %s ms', (text, expected) => expect(retryAfterMs(text, 0)).toBe(expected));
});

describe('a callback', () => {
  const entry = (attempt: number, value: JsonValue): MemoEntry => ({ step: `callback ${attempt}`, outcome: { ok: true, output: value } });
  const expired: MemoEntry = { step: 'callback 1', outcome: { ok: false, error: { code: 'SIGNAL_EXPIRED', message: 'late' } } };

  it('that did not come leaves the agent to be asked', () => expect(calledBack(taskOf())).toBeUndefined());

  it('brings the outcome, also to the ticket after one whose lease was lost', () => {
    for (const attempt of [2, 3])
      expect(calledBack(taskOf({ attempt, memo: [entry(1, { output: { total: 1 } })] }))).toEqual({
        outcome: { ok: true, output: { total: 1 } },
      });
  });

  it('with a failure fails the attempt that it woke, and the retry asks the agent again', () => {
    const memo = [entry(1, { error: { message: 'no' } })];
    expect(calledBack(taskOf({ attempt: 2, memo }))).toMatchObject({ outcome: { error: { code: 'AGENT_FAILED', message: 'no' } } });
    expect(calledBack(taskOf({ attempt: 3, memo }))).toBeUndefined();
    expect(calledBack(taskOf({ attempt: 4, memo: [...memo, entry(3, { output: { total: 2 } })] }))).toEqual({
      outcome: { ok: true, output: { total: 2 } },
    });
  });

  it('that is late is a time-out', () => {
    expect(calledBack(taskOf({ attempt: 2, memo: [expired] }))).toMatchObject({ outcome: { error: { code: 'NODE_TIMED_OUT' } } });
    expect(calledBack(taskOf({ attempt: 3, memo: [expired] }))).toBeUndefined();
  });
});
