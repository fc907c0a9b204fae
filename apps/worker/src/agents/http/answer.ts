import {
  type AgentAnswer,
  agentAnswerSchema,
  callbackSignalName,
  callbackStepOf,
  type JsonValue,
  type Suspension,
} from '@hivekeeper/contract';
import { type Execution, failed, type Finished, judge, parseOutput, type Task, toldFailure } from '../attempt/index.ts';

/** What an agent answered to an attempt. */
export interface Answer {
  readonly status: number;
  readonly retryAfter?: string | undefined;
  readonly body: Buffer;
}

/** So often an agent may ask one slot to come back later. Then it counts as a failure, and the node's retry policy decides. */
const mostBusyWaits = 20;
const longestRetryAfterMs = 3_600_000;
const busyStep = 'busy ';
const isCallback = /^callback \d+$/;

/** What an answer comes to. `key` is that of the callback address the agent was given. */
export function executionOf(answer: Answer, task: Task, { key, nowMs }: { readonly key: string; readonly nowMs: number }): Execution {
  const { status } = answer;
  if (status === 202) return { kind: 'suspended', suspension: callbackWait(task, key) };
  if (status === 200) return { kind: 'finished', ...finishedBy(parseOutput(answer.body), task) };
  if (isBusy(status)) {
    const forMs = retryAfterMs(answer.retryAfter, nowMs);
    const step = `${busyStep}${task.ticket.attempt}`;
    if (forMs !== undefined && busyWaitsOf(task) < mostBusyWaits) return { kind: 'suspended', suspension: { kind: 'timer', step, forMs } };
  }
  return { kind: 'finished', outcome: refusalOf(answer, task) };
}

/** 408 and 425 say as 429 and 503 do that the same request may succeed later. */
const isBusy = (status: number): boolean => [408, 425, 429, 503].includes(status);

const busyWaitsOf = ({ ticket }: Task): number => ticket.memo.filter(({ step }) => step.startsWith(busyStep)).length;

const callbackWait = ({ ticket }: Task, key: string): Suspension => ({
  kind: 'signal',
  step: callbackStepOf(ticket.attempt),
  name: callbackSignalName,
  key,
  expiresAfterMs: ticket.agent.http?.callbackTimeoutMs ?? 0,
});

/** Seconds or a date, as in RFC 9110, section 10.2.3. Undefined where it says neither, or longer than anybody should wait. */
export function retryAfterMs(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const forMs = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return forMs <= longestRetryAfterMs ? Math.max(1, Math.ceil(forMs)) : undefined;
}

/**
 * What an agent called back with in an earlier execution; undefined where the agent is to be asked (anew). A failure counts for
 * the execution that it woke: the one after that is a retry.
 */
export function calledBack(task: Task): Finished | undefined {
  const { attempt, memo, agent } = task.ticket;
  const entry = memo.findLast(({ step }) => isCallback.test(step));
  if (entry === undefined) return undefined;
  const isFirst = entry.step === callbackStepOf(attempt - 1);
  const finished = entry.outcome.ok
    ? finishedBy({ ok: true, value: entry.outcome.output }, task)
    : { outcome: failed('NODE_TIMED_OUT', `The agent did not call back within ${agent.http?.callbackTimeoutMs} ms.`) };
  return finished.outcome.ok || isFirst ? finished : undefined;
}

type Read = { readonly ok: true; readonly value: JsonValue } | { readonly ok: false; readonly reason: string };

function finishedBy(read: Read, task: Task): Finished {
  if (!read.ok) return unusable(read.reason);
  const { data: answer } = agentAnswerSchema.safeParse(read.value);
  if (answer === undefined) return unusable('it is neither {"output": …} nor {"error": {"message": …}}', JSON.stringify(read.value));
  return { outcome: outcomeOf(answer, task), ...(answer.costMicroUsd !== undefined && { costMicroUsd: answer.costMicroUsd }) };
}

const unusable = (reason: string, excerpt?: string): Finished => ({
  outcome: failed('AGENT_OUTPUT_INVALID', `The answer cannot be used: ${reason}.`, excerpt?.slice(0, 4_096)),
});

const outcomeOf = (answer: AgentAnswer, { ticket, rules, check }: Task) =>
  answer.error === undefined ? judge(answer.output ?? null, rules, check) : toldFailure(answer.error, ticket.agent.dependsOn);

function refusalOf({ status, body }: Answer, { ticket }: Task) {
  const read = parseOutput(body);
  const answer = read.ok ? agentAnswerSchema.safeParse(read.value).data : undefined;
  const told = answer?.error;
  const excerpt = body.subarray(0, 4_096).toString('utf8');
  const words = told === undefined ? '.' : `: ${told.message}`;
  if (isBusy(status)) return failed('AGENT_BUSY', `The agent answered ${status}${words}`, excerpt);
  if (status >= 500)
    return told === undefined
      ? failed('AGENT_FAILED', `The agent answered ${status}.`, excerpt)
      : toldFailure(told, ticket.agent.dependsOn, excerpt);
  if (status >= 300 && status < 400) return failed('AGENT_REFUSED', `The agent answered ${status}; redirects are not followed.`, excerpt);
  if (status >= 400) return failed('AGENT_REFUSED', `The agent answered ${status}${words}`, excerpt);
  return failed('AGENT_OUTPUT_INVALID', `The agent answered ${status}, neither 200 nor 202.`, excerpt);
}
