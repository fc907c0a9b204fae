import { HiveError } from '@hivekeeper/contract';
import type { Envelope } from '@hivekeeper/contract/agent2389';
import type { Clock } from '@hivekeeper/kernel';
import type { Model, ToolCall } from './model.ts';
import type { Progress } from './progress.ts';
import type { ToolBox } from './tool-box.ts';
import { type Budget, type Talk, type TaskEnd, called, nextTurn, opening, replied } from './turn.ts';

/** What an agent works with. */
export interface Means {
  readonly model: Model;
  readonly tools: ToolBox;
  readonly systemPrompt: string;
  readonly budget: Budget;
  readonly taskTimeoutMs: number;
  readonly clock: Clock;
}

/** One task under way. */
interface Performance extends Means {
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/**
 * Step 7 of nine: asks the model and calls tools until there is a text, or none can be had. Never throws but for
 * `stopped`, whose task is as if it had not begun.
 */
export async function perform(
  envelope: Envelope,
  means: Means,
  { progress, stopped }: { progress: Progress; stopped: AbortSignal },
): Promise<TaskEnd> {
  const timeout = new AbortController();
  using timers = new DisposableStack();
  timers.use(means.clock.after(means.taskTimeoutMs, () => timeout.abort()));
  const performance = { ...means, progress, signal: AbortSignal.any([timeout.signal, stopped]) };
  try {
    return await talk(performance, opening(envelope, means.systemPrompt, means.clock.nowMs()));
  } catch (error) {
    stopped.throwIfAborted();
    if (timeout.signal.aborted) return failed('internal_error', `the task took longer than ${means.taskTimeoutMs / 1_000} s`);
    if (HiveError.is(error) && error.code === 'MODEL_FAILED') return failed('llm_error', error.message);
    return failed('internal_error', error instanceof Error ? error.message : String(error));
  }
}

const failed = (code: Extract<TaskEnd, { readonly end: 'failed' }>['code'], message: string): TaskEnd => ({ end: 'failed', code, message });

async function talk(performance: Performance, begun: Talk): Promise<TaskEnd> {
  let current = begun;
  for (;;) {
    performance.signal.throwIfAborted();
    const turn = nextTurn(current, performance.budget);
    if (turn.turn === 'end') return turn;
    if (turn.turn === 'ask') current = replied(current, await ask(performance, current));
    else current = called(current, await callAll(performance, turn.calls));
  }
}

async function ask({ model, tools, progress, signal }: Performance, { messages, modelCalls }: Talk) {
  progress.tell('LlmRequest', `Asking ${model.name} (call ${modelCalls + 1})`);
  try {
    const reply = await model.reply({ messages, tools: tools.descriptions, signal });
    progress.tell(
      'LlmResponse',
      reply.toolCalls.length === 0 ? 'The model answered' : `The model wants ${reply.toolCalls.length} calls of tools`,
    );
    return reply;
  } catch (error) {
    progress.tell('LlmError', 'The model gave no answer');
    throw error;
  }
}

/** One after the other: what one tool did may be what the next relies on. */
async function callAll({ tools, progress, signal }: Performance, calls: readonly ToolCall[]) {
  const outputs = [];
  for (const call of calls) {
    // Neither arguments nor results: whoever listens to progress need not be who asked.
    progress.tell('ToolCall', `Calling ${call.name}`, { tool_name: call.name });
    const output = await tools.call(call, signal);
    progress.tell(output.isError ? 'ToolError' : 'ToolComplete', `${call.name} ${output.isError ? 'failed' : 'is done'}`, {
      tool_name: call.name,
    });
    outputs.push(output);
  }
  return outputs;
}
