import { type Envelope, type ProgressCategory, type ProgressMessage, progressTopic } from '@hivekeeper/contract/agent2389';
import type { Clock } from '@hivekeeper/kernel';

type ProgressEvent = ProgressMessage['event_type'];

/** Tells whoever listens how a task goes. What is told may be lost. */
export interface Progress {
  tell(event: ProgressEvent, message: string, metadata?: Readonly<Record<string, string>>): void;
}

const categoryOf = (event: ProgressEvent): ProgressCategory =>
  event.startsWith('Tool') ? 'Tool' : event.startsWith('Llm') ? 'LLM' : 'General';

/** The progress of one task. `send` publishes with QoS 0. */
export function progressOf(
  { task_id, conversation_id }: Envelope,
  { agentId, clock, send }: { readonly agentId: string; readonly clock: Clock; readonly send: (topic: string, payload: string) => void },
): Progress {
  return {
    tell: (event, message, metadata) => {
      const category = categoryOf(event);
      const body: ProgressMessage = {
        ...{ agent_id: agentId, task_id, conversation_id, timestamp: new Date(clock.nowMs()).toISOString() },
        ...{ category, event_type: event, message, metadata: metadata ?? null },
      };
      send(progressTopic(agentId, category), JSON.stringify(body));
    },
  };
}
