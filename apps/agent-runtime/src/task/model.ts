import type { JsonObject } from '@hivekeeper/contract';

/** A tool that a model wants called. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly args: JsonObject;
}

/** What came of a call, as the model is told. */
export interface ToolOutput {
  readonly id: string;
  readonly name: string;
  readonly text: string;
  readonly isError: boolean;
}

/** One message of the talk with a model. */
export type Message =
  | { readonly role: 'system' | 'user'; readonly text: string }
  | { readonly role: 'assistant'; readonly text: string; readonly toolCalls: readonly ToolCall[] }
  | { readonly role: 'tool'; readonly outputs: readonly ToolOutput[] };

/** What a model knows of a tool. `parameters` is a JSON Schema. */
export interface ToolDescription {
  readonly name: string;
  readonly description: string;
  readonly parameters: JsonObject;
}

/** What a model is asked. */
export interface Question {
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDescription[];
  readonly signal: AbortSignal;
}

/** What it says: a text, or calls, or both. */
export interface Reply {
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
}

/** A language model, or what stands for one. */
export interface Model {
  /** `provider/model`. */
  readonly name: string;
  /** True where no model answers, but a script. */
  readonly isSimulated: boolean;
  /** Finds out whether it can be asked at all. @throws HiveError AGENT_NOT_READY */
  check(signal: AbortSignal): Promise<void>;
  /** @throws HiveError MODEL_FAILED; the signal's reason where that aborts */
  reply(question: Question): Promise<Reply>;
}
