import { HiveError, type JsonObject } from '@hivekeeper/contract';
import { type Clock, pause } from '@hivekeeper/kernel';
import type { ScriptRule } from '../config/index.ts';
import type { Message, Model, Question, Reply } from '../task/index.ts';

const label = 'SIMULATED';

/**
 * Stands for a model where there is none: the same question gives the same reply. It does what the first rule of its script
 * says that matches the last message, else it repeats what it was asked. Every text begins with SIMULATED.
 */
export function simulatedModel(model: string, script: readonly ScriptRule[], clock: Clock): Model {
  const rules = script.map((rule) => ({ rule, pattern: new RegExp(rule.when, 's') }));
  return {
    name: `simulated/${model}`,
    isSimulated: true,
    check: () => Promise.resolve(),
    reply: async ({ messages, signal }: Question): Promise<Reply> => {
      const text = lastText(messages);
      for (const { rule, pattern } of rules) {
        const match = pattern.exec(text);
        if (match === null) continue;
        if (rule.delay_ms > 0) await pause(clock, rule.delay_ms, signal);
        return replyOf(rule, match, messages.length);
      }
      return { text: `${label} reply to ${text}`, toolCalls: [] };
    },
  };
}

function lastText(messages: readonly Message[]): string {
  const last = messages.at(-1);
  if (last?.role === 'tool') return `tool: ${last.outputs.map((output) => output.text).join('\n')}`;
  // Instruction and input are two messages of one sender.
  return `user: ${messages.flatMap((message) => (message.role === 'user' ? [message.text] : [])).join('\n')}`;
}

function replyOf({ reply, tool, fail, ...rule }: ScriptRule, match: RegExpExecArray, messageCount: number): Reply {
  if (fail !== undefined) throw new HiveError('MODEL_FAILED', `${label} ${fail}`);
  if (tool !== undefined)
    return { text: '', toolCalls: [{ id: `call-${messageCount}`, name: tool, args: (rule.arguments ?? {}) as JsonObject }] };
  return { text: `${label} ${(reply ?? '').replace(/\$(\d)/g, (_, group: string) => match[Number(group)] ?? '')}`, toolCalls: [] };
}
