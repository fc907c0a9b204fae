import { randomUUID } from 'node:crypto';
import type { Line } from './line.ts';

/** A task as a test writes it. */
export interface Task {
  readonly task_id: string;
  readonly conversation_id: string;
  readonly topic: string;
  readonly instruction: string | null;
  readonly input: unknown;
  readonly next?: unknown;
  readonly [field: string]: unknown;
}

/** A task for the agent `echo`, in a conversation of its own. */
export const taskFor = (change: Partial<Task> = {}, agent = 'echo'): Task => {
  const task_id = randomUUID();
  return {
    ...{ task_id, conversation_id: `conv-${task_id}`, topic: `/control/agents/${agent}/input`, instruction: 'say it', input: null },
    ...change,
  };
};

/** Sends tasks as any client would. */
export const send = (line: Line, ...tasks: readonly Task[]): Promise<unknown> =>
  Promise.all(tasks.map((task) => line.client.publishAsync(task.topic, JSON.stringify(task), { qos: 1 })));

/** Where a task's answer comes. */
export const answerTopic = ({ conversation_id }: Task, agent = 'echo'): string => `/conversations/${conversation_id}/${agent}`;

/** The answer to a task, as it came. */
export const answerTo = async (line: Line, task: Task, agent = 'echo') =>
  JSON.parse((await line.first(({ topic }) => topic === answerTopic(task, agent))).text) as {
    readonly response?: string;
    readonly error?: { readonly code: string; readonly message: string };
    readonly task_id: string;
  };
