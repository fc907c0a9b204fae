import { describe, expect, it } from 'vitest';
import { agentNameIn, agentNameSchema, mqttAgentIdIn, mqttAgentName, placeOfAgent } from './ids.ts';
import { labelSchema } from './label.ts';

describe('what nodes call an agent', () => {
  it.each([
    [1, 'scanner', 'scanner'],
    [2, 'scanner', '2/scanner'],
    [2_147_483_647, 'a.b-c_d', '2147483647/a.b-c_d'],
  ])('in project %d the agent %s is %s, and back', (projectId, name, agentName) => {
    expect(agentNameIn(projectId, name)).toBe(agentName);
    expect(placeOfAgent(agentName)).toEqual({ projectId, name });
    expect(agentNameSchema.parse(agentName)).toBe(agentName);
  });

  it.each(['writer', '_a.b-c', 'a'.repeat(200)])('on the broker the agent %s has mqtt/ before its id', (id) => {
    expect(mqttAgentIdIn(agentNameSchema.parse(mqttAgentName(id)))).toBe(id);
    expect(mqttAgentIdIn(id)).toBeUndefined();
  });

  it.each([
    '',
    'mqtt/',
    'mqtt/a b',
    'mqtt/+',
    'mqtt/a/b',
    `mqtt/${'a'.repeat(201)}`,
    '2/mqtt/a',
    '1/a',
    '0/a',
    '-2/a',
    '02/a',
    '2.5/a',
    '2147483648/a',
    `${'9'.repeat(400)}/a`,
    '2/',
    '/a',
    '2/a/b',
    '2 /a',
    'a b',
    '2/a\n',
  ])('is never %j: one agent has one name', (text) => expect(agentNameSchema.safeParse(text).success).toBe(false));
});

describe('a label', () => {
  it.each(['gpu', 'eu-west', 'cuda12', 'Node'])('may be %s', (text) => expect(labelSchema.parse(text)).toBe(text));
  it.each(['', 'node', 'python', 'exec', 'builtin', 'sandbox', 'cgroup', 'agent:scanner', 'two words', 'a,b'])('is never %j', (text) =>
    expect(labelSchema.safeParse(text).success).toBe(false),
  );
});
