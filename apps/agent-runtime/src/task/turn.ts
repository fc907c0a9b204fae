import type { Envelope, TaskErrorCode } from '@hivekeeper/contract/agent2389';
import type { Message, Reply, ToolCall, ToolOutput } from './model.ts';

/** How much a task may take. */
export interface Budget {
  readonly maxModelCalls: number;
  readonly maxToolCalls: number;
}

/** The talk of one task so far. */
export interface Talk {
  readonly messages: readonly Message[];
  readonly modelCalls: number;
  readonly toolCalls: number;
}

/** What a task came to. */
export type TaskEnd =
  { readonly end: 'text'; readonly text: string } | { readonly end: 'failed'; readonly code: TaskErrorCode; readonly message: string };

/** What is to be done next. */
export type Turn =
  { readonly turn: 'ask' } | { readonly turn: 'call'; readonly calls: readonly ToolCall[] } | ({ readonly turn: 'end' } & TaskEnd);

/** The talk before anything was said: system prompt with the time, instruction, input. */
export function opening(envelope: Pick<Envelope, 'instruction' | 'input'>, systemPrompt: string, nowMs: number): Talk {
  const time = new Date(nowMs).toISOString().replace('T', ' ').slice(0, 19);
  const clock = `Current date and time: ${time} UTC`;
  const { instruction, input } = envelope;
  return {
    messages: [
      { role: 'system', text: systemPrompt === '' ? clock : `${systemPrompt}\n\n${clock}` },
      ...(typeof instruction === 'string' ? [{ role: 'user' as const, text: instruction }] : []),
      ...(input === null ? [] : [{ role: 'user' as const, text: `Input data: ${JSON.stringify(input)}` }]),
    ],
    modelCalls: 0,
    toolCalls: 0,
  };
}

/**
 * Step 7 of nine, one decision at a time.
 *
 *   last message        within the budget   beyond it
 *   system, user, tool  ask                 internal_error
 *   assistant, calls    call                tool_execution_failed
 *   assistant, text     end
 */
export function nextTurn({ messages, modelCalls, toolCalls }: Talk, { maxModelCalls, maxToolCalls }: Budget): Turn {
  const last = messages.at(-1);
  if (last?.role !== 'assistant') {
    if (modelCalls < maxModelCalls) return { turn: 'ask' };
    return ended('internal_error', `the budget of ${maxModelCalls} calls of the model is spent (max_iterations)`);
  }
  if (last.toolCalls.length === 0) return { turn: 'end', end: 'text', text: last.text };
  if (toolCalls + last.toolCalls.length <= maxToolCalls) return { turn: 'call', calls: last.toolCalls };
  return ended('tool_execution_failed', `the budget of ${maxToolCalls} calls of tools is spent (max_tool_calls)`);
}

const ended = (code: TaskErrorCode, message: string): Turn => ({ turn: 'end', end: 'failed', code, message });

/** The talk after the model replied. */
export const replied = (talk: Talk, { text, toolCalls }: Reply): Talk => ({
  ...talk,
  messages: [...talk.messages, { role: 'assistant', text, toolCalls }],
  modelCalls: talk.modelCalls + 1,
});

/** The talk after tools were called. */
export const called = (talk: Talk, outputs: readonly ToolOutput[]): Talk => ({
  ...talk,
  messages: [...talk.messages, { role: 'tool', outputs }],
  toolCalls: talk.toolCalls + outputs.length,
});
