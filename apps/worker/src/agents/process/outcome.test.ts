import { describe, expect, it } from 'vitest';
import type { CommandEnd } from '../../sandbox/process/index.ts';
import { type Attempt, outcomeOf } from './outcome.ts';
import { newSchemaCheck, type OutputRules } from '../attempt/index.ts';

type Changes = Partial<Omit<Attempt, 'rules'>> & OutputRules;
const attempt = { timeoutMs: 5_000, limits: { memoryBytes: 1_000, cpuCores: 1, maxProcesses: 1, outputBytes: 2_000 } };
const check = newSchemaCheck();
const outcome = (
  end: CommandEnd,
  { stdout = '', stderrTail = '', ...changes }: Changes & { stdout?: string | Buffer; stderrTail?: string } = {},
) => outcomeOf({ ...end, stdout: Buffer.from(stdout), stderrTail }, { ...attempt, ...changes, rules: changes }, check);
const printed = (stdout: string | Buffer, changes: Changes = {}) => outcome({ kind: 'exited', exitCode: 0 }, { stdout, ...changes });
const codeOf = (result: ReturnType<typeof outcomeOf>) => (result?.ok === false ? result.error.code : undefined);

describe('what an attempt came to', () => {
  it.each([
    [{ kind: 'signalled', signal: 'SIGSEGV' }, 'AGENT_KILLED', 'SIGSEGV'],
    [{ kind: 'timed-out' }, 'NODE_TIMED_OUT', '5000 ms'],
    [{ kind: 'out-of-memory' }, 'AGENT_OUT_OF_MEMORY', '1000 bytes'],
    [{ kind: 'output-too-large' }, 'AGENT_OUTPUT_TOO_LARGE', '2000 bytes'],
    [{ kind: 'not-started', reason: 'no such program' }, 'AGENT_NOT_RUNNABLE', 'no such program'],
    [{ kind: 'exited', exitCode: 2 }, 'AGENT_FAILED', 'exit status 2'],
  ] as const)('is, for %o, %s', (end, code, words) => {
    expect(outcome(end, { stderrTail: 'last words' })).toMatchObject({
      ok: false,
      error: { code, message: expect.stringContaining(words), excerpt: 'last words' },
    });
  });

  it('is a failure where the output says so, of an agent whose manifest says that it may', () => {
    const told = '{"success":false,"error":"no webhook","channel":"slack"}';
    expect(printed(told)).toMatchObject({ ok: true });
    expect(printed(told, { successFalseFails: true })).toEqual({
      ok: false,
      error: { code: 'AGENT_FAILED', message: 'no webhook', excerpt: told },
    });
    const codes = (document: string) => codeOf(printed(document, { successFalseFails: true, outputSchema: { required: ['channel'] } }));
    expect(['{"success":false}', '{"success":false,"message":7}'].map(codes)).toEqual(['AGENT_FAILED', 'AGENT_FAILED']);
    for (const document of ['{"success":true}', '{"success":"false"}', '{"channel":{"success":false}}', '[{"success":false}]', 'false'])
      expect([document, codeOf(printed(document, { successFalseFails: true }))]).toEqual([document, undefined]);
  });

  it('is nothing where we gave up ourselves', () => {
    expect(outcome({ kind: 'aborted' })).toBeUndefined();
  });

  it('is the document on stdout, white space around it allowed', () => {
    expect(printed(' {"a":[1,"ä"]}\n')).toEqual({ ok: true, output: { a: [1, 'ä'] } });
    expect(printed('null')).toEqual({ ok: true, output: null });
  });

  it('is the agent’s own message where it told one and failed', () => {
    expect(outcome({ kind: 'exited', exitCode: 1 }, { told: { message: 'no such repository' } })).toMatchObject({
      error: { code: 'AGENT_FAILED', message: 'no such repository' },
    });
  });

  it('is the fault of a dependency that the agent blames, where its manifest names it', () => {
    const dependsOn = { api: { failures: 1, windowMs: 1_000, coolDownMs: 1_000 } };
    const of = (dependency: string) => outcome({ kind: 'exited', exitCode: 1 }, { told: { message: '502', dependency }, dependsOn });
    expect(of('api')).toMatchObject({ error: { code: 'DEPENDENCY_FAILED', message: 'api: 502', dependency: 'api' } });
    for (const other of ['mail', 'toString']) expect(codeOf(of(other))).toBe('AGENT_FAILED');
  });

  it('is out of memory where V8 gave up before the kernel did', () => {
    expect(codeOf(outcome({ kind: 'signalled', signal: 'SIGABRT' }, { stderrTail: 'FATAL ERROR: JavaScript heap out of memory' }))).toBe(
      'AGENT_OUT_OF_MEMORY',
    );
  });

  it.each([
    ['nothing', ''],
    ['two documents', '{}\n{}'],
    ['a log line before the document', 'starting\n{}'],
    ['half a document', '{"a":'],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['U+0000', '"\\u0000"'],
    ['half a surrogate pair', '"\\ud800"'],
    ['a key that reaches the prototype', '{"__proto__":1}'],
    ['too deep nesting', '['.repeat(70) + ']'.repeat(70)],
    ['a number that JSON cannot carry', '1e999'],
  ])('is invalid output where stdout holds %s', (_, stdout) => {
    expect(codeOf(printed(stdout))).toBe('AGENT_OUTPUT_INVALID');
  });

  it('shows at most 4 KB of bad output, its control characters escaped', () => {
    const result = printed(`\u001b[2Jhello\u0000${'x'.repeat(10_000)}`);
    const excerpt = result?.ok === false ? (result.error.excerpt ?? '') : '';
    expect(excerpt.length).toBeLessThanOrEqual(4_096);
    expect(excerpt).not.toMatch(/[\u0000\u001b]/);
    expect(codeOf(result)).toBe('AGENT_OUTPUT_INVALID');
    expect(printed('\u001b[2Jhello')).toMatchObject({ error: { excerpt: '\\u001b[2Jhello' } });
  });

  it('never carries half a surrogate pair in message or excerpt, which the database would refuse', () => {
    const result = outcome(
      { kind: 'exited', exitCode: 1 },
      { told: { message: `${'x'.repeat(1_999)}😀` }, stderrTail: `😀${'y'.repeat(4_095)}` },
    );
    if (result?.ok !== false) expect.fail('it failed');
    expect(result.error.message.isWellFormed()).toBe(true);
    expect(result.error.excerpt?.isWellFormed()).toBe(true);
  });

  it('breaks a schema at the path that it names', () => {
    const outputSchema = { type: 'object', properties: { findings: { type: 'array', items: { type: 'object', required: ['line'] } } } };
    expect(printed('{"findings":[{"line":1},{}]}', { outputSchema })).toMatchObject({
      error: { code: 'AGENT_OUTPUT_SCHEMA', message: expect.stringContaining("/findings/1 must have required property 'line'") },
    });
    expect(printed('{"findings":[{"line":1}]}', { outputSchema })).toMatchObject({ ok: true });
  });
});

describe('a schema check', () => {
  it('knows draft 2020-12 and formats', () => {
    expect(check({ type: 'array', prefixItems: [{ type: 'string', format: 'date' }], items: false }, ['2026-01-31'])).toBeUndefined();
    expect(check({ type: 'string', format: 'date' }, 'yesterday')).toContain('date');
  });

  it('reports a schema that is none, every time', () => {
    for (let time = 0; time < 2; time++) expect(check({ type: 'nonsense' }, 1)).toContain('the schema itself is invalid');
  });

  it('lets two schemas share an $id', () => {
    expect(check({ $id: 'one', type: 'string' }, 'x')).toBeUndefined();
    expect(check({ $id: 'one', type: 'number' }, 'x')).toContain('must be number');
  });
});
