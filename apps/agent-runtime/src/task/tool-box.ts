import type { ToolCall, ToolDescription, ToolOutput } from './model.ts';

/** The tools an agent has. */
export interface ToolBox extends AsyncDisposable {
  readonly descriptions: readonly ToolDescription[];
  /** Calls a tool. Never throws but for the signal: what goes wrong is an output that says so. */
  call(call: ToolCall, signal: AbortSignal): Promise<ToolOutput>;
}
