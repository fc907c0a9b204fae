import type { EnvelopeV1 } from '@hivekeeper/contract/agent2389';
import { listen } from './line.ts';

/** An agent that answers when the test says so, as a program of somebody else: it knows nothing of ours, and remembers no task. */
export interface StandIn extends AsyncDisposable {
  readonly tasks: readonly EnvelopeV1[];
  /** Resolves with the n-th task it gets, counted from 1. */
  task(nth: number): Promise<EnvelopeV1>;
  answer(task: EnvelopeV1, response: string): Promise<void>;
  fail(task: EnvelopeV1, code: string, message: string): Promise<void>;
  leave(): Promise<void>;
}

/** Starts one, and says that it is there. */
export async function standIn(url: string, id: string, protocolVersion: 4 | 5 = 5): Promise<StandIn> {
  const line = await listen(url, [`/control/agents/${id}/input`], protocolVersion);
  const { client } = line;
  const say = (status: 'available' | 'unavailable') =>
    client.publishAsync(
      `/control/agents/${id}/status`,
      JSON.stringify({ agent_id: id, status, timestamp: new Date().toISOString(), capabilities: ['writing'] }),
      { qos: 1, retain: true },
    );
  await say('available');
  client.on('connect', () => void say('available').catch(() => {}));
  const reply = async (task: EnvelopeV1, said: Readonly<Record<string, unknown>>) =>
    void (await client.publishAsync(`/conversations/${task.conversation_id}/${id}`, JSON.stringify({ ...said, task_id: task.task_id }), {
      qos: 1,
    }));
  const tasks = () => line.seen.map(({ text }) => JSON.parse(text) as EnvelopeV1);
  return {
    get tasks() {
      return tasks();
    },
    task: async (nth) => {
      await line.count(() => true, nth);
      return tasks()[nth - 1] as EnvelopeV1;
    },
    answer: (task, response) => reply(task, { response }),
    fail: (task, code, message) => reply(task, { error: { code, message } }),
    leave: async () => void (await say('unavailable')),
    [Symbol.asyncDispose]: () => line[Symbol.asyncDispose](),
  };
}
