import { z } from 'zod';

// Topics of the 2389 agent protocol all begin with a slash.

/** The name of an agent on the broker; replicas share it. */
export const mqttAgentIdSchema = z
  .string()
  .max(200)
  .regex(/^[a-zA-Z0-9._-]+$/, 'only letters, digits, dot, underscore and hyphen');

/**
 * A conversation's name. It becomes a level of a topic, so it holds nothing that means something in one: no separator,
 * no wildcard; and nothing for which a broker may close the connection of whoever publishes there (MQTT 5, section 1.5.4).
 */
export const conversationIdSchema = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^/+#\p{Cc}\p{Noncharacter_Code_Point}]+$/u, 'no slash, plus, number sign, control character or noncharacter');

/** One leading slash, none at the end, none doubled: the form in which topics are compared. Idempotent. */
export const canonicalTopic = (topic: string): string => `/${topic}`.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');

/** Where an agent gets its tasks. */
export const inputTopic = (agentId: string): string => `/control/agents/${agentId}/input`;

/** Where an agent says, retained, whether it is there. */
export const statusTopic = (agentId: string): string => `/control/agents/${agentId}/status`;

/** Matches the status of every agent. */
export const everyStatusFilter = '/control/agents/+/status';

/** Where an agent's answer to a conversation goes, be it a response or an error. */
export const conversationTopic = (conversationId: string, agentId: string): string => `/conversations/${conversationId}/${agentId}`;

/** What an agent's progress is about. */
export type ProgressCategory = 'General' | 'Tool' | 'LLM';

const progressEndings: Readonly<Record<ProgressCategory, string>> = { General: '', Tool: '/tools', LLM: '/llm' };

/** Where an agent tells its progress. */
export const progressTopic = (agentId: string, category: ProgressCategory): string =>
  `/control/agents/${agentId}/progress${progressEndings[category]}`;

/** The agent whose input the topic is, in whatever form it is written; `undefined` for any other topic. */
export function agentOfInputTopic(topic: string): string | undefined {
  const id = /^\/control\/agents\/([^/]+)\/input$/.exec(canonicalTopic(topic))?.[1];
  return mqttAgentIdSchema.safeParse(id).data;
}
