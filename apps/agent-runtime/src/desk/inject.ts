import { HiveError } from '@hivekeeper/contract';
import { answerMessageSchema, conversationTopic, taskKeyOf } from '@hivekeeper/contract/agent2389';
import { pause } from '@hivekeeper/kernel';
import { type Broker, callBroker } from './call.ts';
import { envelopeOf, type Injection } from './injection.ts';

/** What became of a task that was sent. */
export interface Injected {
  readonly task_id: string;
  readonly conversation_id: string;
  readonly topic: string;
  /** What an agent of the conversation answered; absent where nobody waited for it. */
  readonly answer?: {
    readonly topic: string;
    readonly response?: string;
    readonly error?: { readonly code: string; readonly message: string };
  };
}

/** Sends a task; waits for an answer where `waitMs` is given. @throws HiveError BROKER_UNREACHABLE, ANSWER_LATE, COMMAND_INVALID */
export async function inject(
  injection: Injection,
  { taskId, waitMs, ...broker }: Broker & { readonly taskId: string; readonly waitMs?: number | undefined },
): Promise<Injected> {
  const envelope = envelopeOf(injection, { taskId, nowMs: broker.clock.nowMs() });
  const { task_id, conversation_id, topic } = envelope;
  const answered = Promise.withResolvers<NonNullable<Injected['answer']>>();
  const take = (message: { readonly topic: string; readonly payload: Uint8Array }) => {
    const read = answerMessageSchema.safeParse(parsed(message.payload));
    if (read.success && taskKeyOf(read.data.task_id) === taskKeyOf(task_id)) answered.resolve({ topic: message.topic, ...read.data });
  };
  const filter = conversationTopic(conversation_id, '+');
  const bus = await callBroker(broker, waitMs === undefined ? [] : [{ filter, qos: 1, wantsRetained: false, take }]);
  try {
    await bus.publish({ topic, payload: JSON.stringify(envelope), qos: 1 });
    if (waitMs === undefined) return { task_id, conversation_id, topic };
    const late = pause(broker.clock, waitMs).then(() => {
      throw new HiveError('ANSWER_LATE', `no answer to ${task_id} within ${waitMs} ms`);
    });
    return { task_id, conversation_id, topic, answer: await Promise.race([answered.promise, late]) };
  } finally {
    await bus.close({ endsSession: true });
  }
}

function parsed(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString('utf8'));
  } catch {
    return undefined;
  }
}
