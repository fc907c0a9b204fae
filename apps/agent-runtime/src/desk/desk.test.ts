import { describe, expect, it } from 'vitest';
import { envelopeOf } from './injection.ts';
import { filtersOf, sightingOf, sightingText } from './sighting.ts';

const at = { taskId: '550e8400-e29b-41d4-a716-446655440000', nowMs: 1_700_000_000_500 };

describe('a task that a person sends', () => {
  it('is one of the first version for a message', () => {
    expect(envelopeOf({ agent: 'a', message: 'hi', tool: 't', toolParams: '{"x":1}', nextAgents: 'b, c' }, at)).toEqual({
      ...{ task_id: at.taskId, conversation_id: 'experiment-1700000000', topic: '/control/agents/a/input' },
      ...{ instruction: 'Process this message: hi', input: { message: 'hi', tool_request: { name: 't', parameters: { x: 1 } } } },
      next: {
        ...{ topic: '/control/agents/b/input', instruction: 'Continue processing for b' },
        next: { topic: '/control/agents/c/input', instruction: 'Continue processing for c', next: null },
      },
    });
  });

  it('is one of the second version for a query', () => {
    expect(envelopeOf({ agent: 'a', query: 'why?', conversation: 'c' }, at)).toEqual({
      ...{ task_id: at.taskId, conversation_id: 'c', topic: '/control/agents/a/input', instruction: 'why?', input: {}, next: null },
      ...{ version: '2.0', context: { original_query: 'why?', steps_completed: [], iteration_count: 0 } },
    });
  });

  it.each([
    [{ agent: 'a' }, /either --message or --query/],
    [{ agent: 'a', message: 'm', query: 'q' }, /either --message or --query/],
    [{ agent: 'a/b', message: 'm' }, /no name of an agent/],
    [{ agent: 'a', message: 'm', tool: 't', toolParams: '{' }, /--tool-params is not JSON/],
    [{ agent: 'a', message: 'm', conversation: '#' }, /conversation_id/],
  ])('is refused where it makes none: %j', (injection, fault) => {
    expect(() => envelopeOf(injection, at)).toThrow(fault);
  });
});

describe('what a person sees of the broker', () => {
  it.each([
    ['/control/agents/a/status', '{}', 'AGENT_STATUS'],
    ['/control/agents/a/input', '{}', 'INPUT'],
    ['/control/agents/a/progress/tools', '{}', 'PROGRESS'],
    ['/conversations/c/a', '{"response":"x"}', 'CONVERSATION'],
    ['/conversations/c/a', '{"error":{}}', 'ERROR'],
    ['/control/broadcast', 'x', 'BROADCAST'],
    ['/elsewhere', 'x', 'UNKNOWN'],
  ])('%s %s is %s', (topic, text, type) => {
    expect(sightingOf(topic, Buffer.from(text), 3_723_000)).toMatchObject({ timestamp: '01:02:03', message_type: type, topic });
  });

  it('is a line of JSON, a line, or several', () => {
    const sighting = sightingOf('/t', Buffer.from('{"a":1}'), 0);
    expect(JSON.parse(sightingText(sighting, 'json'))).toEqual(sighting);
    expect(sightingText(sighting, 'compact')).toBe('00:00:00 UNKNOWN      /t {"a":1}');
    expect(sightingText(sighting, 'pretty')).toBe('00:00:00 UNKNOWN      /t\n  {\n    "a": 1\n  }');
  });

  it('is of one agent or one conversation where it is named', () => {
    expect(filtersOf('conversations', { agent: 'a', conversation: 'c' })).toEqual(['/conversations/c/a']);
    expect(filtersOf('progress', {})).toEqual(['/control/agents/+/progress/#']);
  });
});
