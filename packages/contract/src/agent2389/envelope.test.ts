import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ReadEnvelope, isV2, nestedTasks, readEnvelope, taskKeyOf } from './envelope.ts';

const id = '550e8400-e29b-41d4-a716-446655440000';
const good = {
  task_id: id,
  conversation_id: 'conv-123',
  topic: '/control/agents/agent-a/input',
  instruction: 'say hi',
  input: { a: 1 },
  next: null,
};
const read = (value: unknown) => readEnvelope(JSON.stringify(value));

const chain = (length: number): unknown =>
  Array.from({ length }).reduce((next) => ({ topic: '/control/agents/b/input', instruction: null, input: null, next }), null as unknown);

describe('an envelope', () => {
  it('of the first version is read as it was sent', () => {
    expect(read(good)).toEqual({ kind: 'envelope', envelope: good });
  });

  it('needs neither instruction nor next, and what nobody knows is ignored', () => {
    const { task_id, conversation_id, topic, input } = good;
    const rest = { task_id, conversation_id, topic, input };
    expect(read({ ...rest, colour: 'blue' })).toEqual({ kind: 'envelope', envelope: rest });
  });

  it('of the second version has its context and trace', () => {
    const context = { original_query: 'q', steps_completed: [{ agent_id: 'a', action: 'b', timestamp: 't' }], iteration_count: 2 };
    const trace = [{ from_agent: 'a', to_agent: 'b', reason: 'r', timestamp: 't', step_number: 1 }];
    const { envelope } = read({ ...good, version: '2.0', context, routing_trace: trace }) as Extract<
      ReadEnvelope,
      { readonly kind: 'envelope' }
    >;
    expect(isV2(envelope)).toBe(true);
    expect(envelope).toMatchObject({ context, routing_trace: trace });
  });

  it('counts from 0 where a context says nothing of iterations', () => {
    expect(read({ ...good, version: '2.0', context: { original_query: 'q', steps_completed: [] } })).toMatchObject({
      envelope: { context: { iteration_count: 0 } },
    });
  });

  it('of the second version with a broken context is not taken for one of the first', () => {
    expect(read({ ...good, version: '2.0', context: {} })).toMatchObject({ kind: 'malformed', code: 'invalid_input' });
  });

  it.each(['task_id', 'conversation_id', 'topic', 'input'])('without %s is malformed, and says so', (field) => {
    expect(read({ ...good, [field]: undefined })).toMatchObject({ kind: 'malformed', reason: expect.stringContaining(`/${field}`) });
  });

  it.each([
    ['a task id that is no UUID', { task_id: 'one' }],
    ['a conversation that reaches into other topics', { conversation_id: 'a/#' }],
    ['a next for something that is no agent', { next: { topic: '/conversations/x/y' } }],
    ['an instruction that is no text', { instruction: 7 }],
    ['an input that is deeper than any agent needs', { input: JSON.parse(`${'['.repeat(80)}${']'.repeat(80)}`) }],
    ['a key that reaches a prototype', { input: JSON.parse('{"__proto__":{"a":1}}') }],
  ])('with %s is malformed', (_what, change) => {
    expect(read({ ...good, ...change })).toMatchObject({ kind: 'malformed', code: 'invalid_input' });
  });

  it('tells whom to answer where both ids can be read', () => {
    expect(read({ ...good, topic: 7 })).toMatchObject({ addressee: { taskId: id, conversationId: 'conv-123' } });
    expect(read({ ...good, conversation_id: '#' })).toMatchObject({ addressee: undefined });
  });

  it('carries 16 tasks in itself and not 17', () => {
    expect(nestedTasks({ next: chain(16) })).toBe(16);
    expect(read({ ...good, next: chain(16) }).kind).toBe('envelope');
    expect(read({ ...good, next: chain(17) })).toMatchObject({ kind: 'malformed', code: 'pipeline_depth_exceeded' });
    expect(read({ ...good, next: chain(3_000) })).toMatchObject({ kind: 'malformed', code: 'pipeline_depth_exceeded' });
  });

  it('is the same task however its id is spelled', () => {
    expect(taskKeyOf(id.toUpperCase())).toBe(taskKeyOf(id.replaceAll('-', '')));
  });

  it('may be anything at all, 10,000 times, and reading it never throws', () => {
    const text = JSON.stringify({ ...good, version: '2.0', next: chain(3) });
    const cut = fc.nat(text.length).map((length) => text.slice(0, length));
    const flipped = fc
      .tuple(fc.nat(text.length - 1), fc.string({ minLength: 1, maxLength: 3 }))
      .map(([at, put]) => text.slice(0, at) + put + text.slice(at + 1));
    const altered = fc
      .tuple(fc.constantFrom(...Object.keys(good), 'version', 'context', 'routing_trace'), fc.jsonValue({ maxDepth: 2 }))
      .map(([key, value]) => JSON.stringify({ ...good, version: '2.0', [key]: value }));
    const deep = fc.nat(20_000).map((depth) => '['.repeat(depth) + ']'.repeat(depth));
    const any = fc.oneof(
      { weight: 300, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
      { weight: 300, arbitrary: fc.json({ maxDepth: 2 }) },
      { weight: 300, arbitrary: cut },
      { weight: 500, arbitrary: flipped },
      { weight: 500, arbitrary: altered },
      { weight: 1, arbitrary: deep },
    );
    const kinds = new Map<string, number>();
    fc.assert(
      fc.property(any, (sent) => {
        const { kind } = readEnvelope(sent);
        kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      }),
      { numRuns: 10_000 },
    );
    expect((kinds.get('malformed') ?? 0) + (kinds.get('envelope') ?? 0)).toBe(10_000);
    expect(kinds.get('malformed')).toBeGreaterThan(5_000);
  }, 60_000);
});
