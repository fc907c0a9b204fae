import { HiveError, type JsonObject } from '@hivekeeper/contract';
import type { LanguageModel, ModelMessage, ToolSet } from 'ai';
import type { LlmSection } from '../config/index.ts';
import type { Message, Model, Question, Reply } from '../task/index.ts';
import { assertReachable, endpointOf } from './endpoint.ts';

type Sdk = typeof import('ai');

/** A model behind a provider's API. Tries again on 408, 409, 429, 5xx and lost connections, when `Retry-After` says so. */
export async function providerModel(section: LlmSection, key: string | undefined): Promise<Model> {
  // Loading the SDK takes 200 ms, which an agent with a script never spends. It would write its warnings to our stdout.
  Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false });
  const [sdk, model] = await Promise.all([import('ai'), languageModel(section, key)]);
  const endpoint = endpointOf(section, key);
  return {
    name: `${section.provider}/${section.model}`,
    isSimulated: false,
    check: (signal) => assertReachable(endpoint, signal),
    reply: async ({ messages, tools, signal }: Question): Promise<Reply> => {
      const system = messages.flatMap((message) => (message.role === 'system' ? [message.text] : [])).join('\n\n');
      try {
        const { text, toolCalls } = await sdk.generateText({
          ...{ model, tools: toolsOf(sdk, tools), maxRetries: section.max_retries, abortSignal: signal },
          ...(system !== '' && { instructions: system }),
          messages: messages.flatMap(sdkMessages),
          ...(section.temperature !== undefined && { temperature: section.temperature }),
          // Anthropic wants a number; 4096 is what 2389 agents send.
          maxOutputTokens: section.max_tokens ?? 4_096,
        });
        return {
          text,
          toolCalls: toolCalls.map(({ toolCallId, toolName, input }) => ({ id: toolCallId, name: toolName, args: objectOf(input) })),
        };
      } catch (error) {
        signal.throwIfAborted();
        throw new HiveError('MODEL_FAILED', `${section.provider}: ${reasonOf(error)}`, { cause: error });
      }
    },
  };
}

/** Each request by itself has so long; one that took longer is not made again. */
const patientFetch =
  (timeoutMs: number): typeof fetch =>
  (input, init) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    return fetch(input, { ...init, signal: init?.signal ? AbortSignal.any([init.signal, timeout]) : timeout });
  };

async function languageModel(
  { provider, model, base_url, request_timeout_secs }: LlmSection,
  apiKey: string | undefined,
): Promise<LanguageModel> {
  const given = {
    fetch: patientFetch(request_timeout_secs * 1_000),
    ...(apiKey !== undefined && { apiKey }),
    ...(base_url !== undefined && { baseURL: base_url }),
  };
  switch (provider) {
    case 'openai':
      return (await import('@ai-sdk/openai')).createOpenAI(given).chat(model);
    case 'anthropic':
      return (await import('@ai-sdk/anthropic')).createAnthropic(given)(model);
    default:
      return (await import('@ai-sdk/openai-compatible')).createOpenAICompatible({ ...given, name: provider, baseURL: base_url ?? '' })(
        model,
      );
  }
}

const toolsOf = ({ tool, jsonSchema }: Sdk, tools: Question['tools']): ToolSet =>
  // None has `execute`: our own loop calls them, within the budget.
  Object.fromEntries(
    tools.map(({ name, description, parameters }) => [name, tool({ description, inputSchema: jsonSchema(parameters as never) })]),
  );

function sdkMessages(message: Message): ModelMessage[] {
  switch (message.role) {
    case 'system':
      return [];
    case 'user':
      return [{ role: 'user', content: message.text }];
    case 'assistant': {
      const calls = message.toolCalls.map(({ id, name, args }) => ({
        type: 'tool-call' as const,
        toolCallId: id,
        toolName: name,
        input: args,
      }));
      return [{ role: 'assistant', content: [...(message.text === '' ? [] : [{ type: 'text' as const, text: message.text }]), ...calls] }];
    }
    case 'tool':
      return [
        {
          role: 'tool',
          content: message.outputs.map(({ id, name, text, isError }) => ({
            ...{ type: 'tool-result' as const, toolCallId: id, toolName: name },
            output: { type: isError ? ('error-text' as const) : ('text' as const), value: text },
          })),
        },
      ];
  }
}

// Arguments that are no object fit no schema, and the model is told so.
const objectOf = (input: unknown): JsonObject =>
  typeof input === 'object' && input !== null ? (input as JsonObject) : { input: String(input) };

/** What the last try said. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const last = 'lastError' in error && error.lastError instanceof Error ? error.lastError : error;
  const status = 'statusCode' in last && typeof last.statusCode === 'number' ? `HTTP ${last.statusCode}: ` : '';
  return `${status}${last.message}`;
}
