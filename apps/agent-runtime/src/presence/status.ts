import { type AgentStatus, agentStatusSchema } from '@hivekeeper/contract/agent2389';

/** The status that a message holds, if it holds one. */
export function statusIn(payload: Uint8Array): AgentStatus | undefined {
  try {
    return agentStatusSchema.safeParse(JSON.parse(Buffer.from(payload).toString('utf8'))).data;
  } catch {
    return undefined;
  }
}
