import type { JsonObject } from '@hivekeeper/contract';
import type { Usage } from '../usage.ts';

/** The APIs in which models are called. */
export const dialectNames = ['chat-completions', 'messages', 'responses', 'embeddings'] as const;
/** One of them. */
export type DialectName = (typeof dialectNames)[number];

/** One event of a stream (Server-Sent Events), as parsed. */
export interface StreamEvent {
  readonly event?: string | undefined;
  readonly data: string;
}

/** What one event of a stream tells. */
export interface Seen {
  /** What the caller gets of it; undefined where it is only for the gateway. */
  readonly forward: StreamEvent | undefined;
  readonly usage?: Usage | undefined;
  /** Nothing comes after it: the answer is whole. */
  readonly isEnd: boolean;
  /** The provider says that it failed. */
  readonly isError: boolean;
}

/** Reads one stream, event by event. */
export type ReadEvent = (event: StreamEvent) => Seen;

/** One API: what is sent, what an answer tells. Everything that is not named here passes through unchanged. */
export interface Dialect {
  readonly name: DialectName;
  /** Below the provider's base address. */
  readonly path: string;
  /** What is sent for the caller's body. */
  outgoing(body: JsonObject, modelName: string): JsonObject;
  /** True for the object that an answer of this API is. */
  isAnswer(answer: JsonObject): boolean;
  /** What the answer says it used; undefined where it says nothing that can be believed. */
  usageOf(answer: JsonObject): Usage | undefined;
  /** Most tokens that the caller lets the model write, all its choices together; undefined where it sets no limit. */
  outputLimitOf(body: JsonObject): number | undefined;
  /** A reader for one stream that answers the body. */
  reader(body: JsonObject): ReadEvent;
  /** The event that tells a caller's client of a failure in the middle. */
  failure(code: string, message: string): StreamEvent;
  /** An answer without a model, labelled SIMULATED: whole, and as a stream. */
  simulated(body: JsonObject, modelName: string): { readonly answer: JsonObject; readonly events: readonly StreamEvent[] };
}
