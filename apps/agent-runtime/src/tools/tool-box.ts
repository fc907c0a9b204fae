import { HiveError, type JsonObject } from '@hivekeeper/contract';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { Metrics, ToolEnd } from '../observe/index.ts';
import type { ToolBox, ToolCall, ToolDescription, ToolOutput } from '../task/index.ts';
import type { Tool, ToolContext } from './tool.ts';

// What a model is told of one call. More would not fit into its context.
const longestOutput = 100_000;

interface Kept {
  readonly tool: Tool;
  readonly isValid: ValidateFunction;
}

/** Tools by name: checked arguments in, text out, however the call ends. */
export class CheckedTools implements ToolBox {
  readonly descriptions: readonly ToolDescription[];
  readonly #kept: ReadonlyMap<string, Kept>;
  readonly #context: ToolContext;
  readonly #metrics: Metrics;

  constructor(tools: readonly Tool[], context: ToolContext & { readonly metrics: Metrics }) {
    const ajv = new Ajv2020({ strict: false, allErrors: true });
    formats.default(ajv);
    this.#kept = new Map(tools.map((tool) => [tool.name, { tool, isValid: ajv.compile(tool.parameters) }]));
    this.descriptions = tools.map(({ name, description, parameters }) => ({ name, description, parameters }));
    this.#context = context;
    this.#metrics = context.metrics;
  }

  async call({ id, name, args }: ToolCall, signal: AbortSignal): Promise<ToolOutput> {
    const kept = this.#kept.get(name);
    const failed = (text: string): ToolOutput => ({ id, name, text, isError: true });
    if (kept === undefined) return failed(`There is no tool "${name}"`);
    const fault = faultOf(kept.isValid, args);
    if (fault !== undefined) {
      this.#metrics.toolEnded(name, 'failed', 0);
      return failed(`Parameter validation failed: ${fault}`);
    }
    const beganMs = this.#context.clock.monotonicMs();
    const { end, text } = await this.#run(kept.tool, args, signal);
    this.#metrics.toolEnded(name, end, this.#context.clock.monotonicMs() - beganMs);
    return { id, name, text, isError: end !== 'done' };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([...this.#kept.values()].map(({ tool }) => tool.close?.()));
  }

  async #run(tool: Tool, args: JsonObject, signal: AbortSignal): Promise<{ readonly end: ToolEnd; readonly text: string }> {
    const timeout = new AbortController();
    using timers = new DisposableStack();
    const giveUp = () => timeout.abort(new HiveError('TOOL_TIMED_OUT', `${tool.name} took longer than ${tool.timeoutMs} ms`));
    timers.use(this.#context.clock.after(tool.timeoutMs, giveUp));
    const either = AbortSignal.any([signal, timeout.signal]);
    // A tool that does not heed the signal keeps nobody waiting.
    const givenUp = new Promise<never>((_, reject) => either.addEventListener('abort', () => reject(either.reason), { once: true }));
    try {
      const output = await Promise.race([tool.run(args, either), givenUp]);
      return { end: 'done', text: cut(typeof output === 'string' ? output : JSON.stringify(output)) };
    } catch (error) {
      signal.throwIfAborted();
      if (timeout.signal.aborted) return { end: 'timedOut', text: String((timeout.signal.reason as Error).message) };
      return { end: 'failed', text: cut(error instanceof Error ? error.message : String(error)) };
    }
  }
}

const cut = (text: string): string => (text.length <= longestOutput ? text : `${text.slice(0, longestOutput)}...[truncated]`);

function faultOf(isValid: ValidateFunction, args: JsonObject): string | undefined {
  if (isValid(args)) return undefined;
  const faults = (isValid.errors ?? []).map(({ instancePath, message, params }) => {
    const which = 'additionalProperty' in params ? ` (${String(params['additionalProperty'])})` : '';
    return `At '${instancePath || '/'}': ${message}${which}`;
  });
  return faults.join('; ');
}
