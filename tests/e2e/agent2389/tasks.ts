import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { Line, Seen } from './line.ts';

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

/** What is nearly a task: JSON of any kind, tasks that are cut off, and tasks with a field that holds anything. Always the same. */
export function fuzzedTasks(count: number, agent = 'echo'): readonly string[] {
  const next = { topic: '/control/agents/elsewhere/input', next: { topic: '/control/agents/elsewhere/input' } };
  const near = JSON.stringify(taskFor({ next, version: '2.0' }, agent));
  const key = fc.constantFrom('topic', 'input', 'next', 'version', 'instruction', 'conversation_id');
  return fc.sample(
    fc.oneof(
      fc.json(),
      fc.nat(near.length).map((length) => near.slice(0, length)),
      fc
        .tuple(key, fc.jsonValue())
        .map(([name, value]) => JSON.stringify({ ...taskFor({}, agent), conversation_id: 'fuzz', [name]: value })),
    ),
    { numRuns: count, seed: 7 },
  );
}

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

/** Answers of the agent to these tasks. */
export const isAnswerOf = (tasks: readonly Task[], agent = 'echo') => {
  const topics = new Set(tasks.map((task) => answerTopic(task, agent)));
  return ({ topic }: Seen): boolean => topics.has(topic);
};
/** Sends tasks again and again until each is answered, as a sender does whose broker forgets. */
export async function keepTo(line: Line, tasks: readonly Task[], agent = 'echo'): Promise<void> {
  const unanswered = () => tasks.filter((task) => !line.seen.some(isAnswerOf([task], agent)));
  for (let left = unanswered(); left.length > 0; left = unanswered()) {
    void send(line, ...left.map((task) => ({ ...task, answer_again: true })));
    await Promise.race([line.count(isAnswerOf(left, agent), left.length), pause(500)]);
  }
}

const pause = (delayMs: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, delayMs));
