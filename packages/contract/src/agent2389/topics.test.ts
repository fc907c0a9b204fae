import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agentOfInputTopic, canonicalTopic, conversationIdSchema, conversationTopic, inputTopic, mqttAgentIdSchema } from './topics.ts';

describe('a topic', () => {
  it.each([
    ['//control//agents/foo/', '/control/agents/foo'],
    ['control/agents/bar', '/control/agents/bar'],
    ['', '/'],
    ['///', '/'],
    ['test', '/test'],
    ['//a//b//c//', '/a/b/c'],
    ['///control///agents////foo///', '/control/agents/foo'],
  ])('is compared in one form: %j is %j', (given, canonical) => {
    expect(canonicalTopic(given)).toBe(canonical);
  });

  it('has one leading slash, none doubled and none at the end, and keeps that form', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('/', 'a', 'b/', '//', 'é')).map((parts) => parts.join('')),
        (topic) => {
          const canonical = canonicalTopic(topic);
          expect(canonical).toMatch(/^\/($|[^/])/);
          expect(canonical).not.toMatch(/\/\//);
          expect(canonical === '/' || !canonical.endsWith('/')).toBe(true);
          expect(canonicalTopic(canonical)).toBe(canonical);
        },
      ),
    );
  });

  it.each(['my-agent', 'agent_123', 'agent.test', 'Agent-1', 'a', '123', 'test.agent-123_foo'])('may name the agent %s', (id) => {
    expect(mqttAgentIdSchema.parse(id)).toBe(id);
    expect(agentOfInputTopic(inputTopic(id))).toBe(id);
  });

  it.each(['', 'a@b', 'a b', 'a/b', 'a:b', 'a#', '$a', 'a+', 'a'.repeat(201)])('never names an agent %j', (id) => {
    expect(mqttAgentIdSchema.safeParse(id).success).toBe(false);
    expect(agentOfInputTopic(inputTopic(id))).toBeUndefined();
  });

  it('is no agent’s input where it goes on', () => {
    expect(agentOfInputTopic('/control/agents/a/input/input')).toBeUndefined();
    expect(agentOfInputTopic('/conversations/c/a')).toBeUndefined();
  });

  it.each(['a/b', '+', '#', 'a\u0000', 'a\u0001', 'a\n', 'a\u007f', 'a\u009f', 'a\ufdd0', 'a\uffff', 'a\u{1fffe}', ''])(
    'has no place for the conversation %j',
    (id) => {
      expect(conversationIdSchema.safeParse(id).success).toBe(false);
    },
  );

  it.each(['é', '日本', '🐝', 'a b'])('has a place for the conversation %j', (id) => {
    expect(conversationIdSchema.parse(id)).toBe(id);
  });

  it('has a level for the conversation and one for the agent', () => {
    expect(conversationTopic('conv-1', 'writer')).toBe('/conversations/conv-1/writer');
  });
});
