import type { JsonObject } from '@hivekeeper/contract';
import type { StreamEvent } from './dialect.ts';

/** The data of an event as an object; undefined where it is none. */
export function objectIn(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}

/** An event that carries an object, under its type where the dialect names its events. */
export const eventOf = (data: JsonObject, event?: string): StreamEvent => ({ event, data: JSON.stringify(data) });

/** The text of a simulated answer. */
export const simulatedText = (asked: unknown): string =>
  `SIMULATED reply to ${(typeof asked === 'string' ? asked : JSON.stringify(asked ?? '')).slice(0, 2_000)}`;

/** The content of the last message, where there are messages. */
export function lastContent(messages: unknown): unknown {
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined;
  return typeof last === 'object' && last !== null && 'content' in last ? last.content : undefined;
}

/** The first positive integer among them. */
export const firstLimit = (...values: readonly unknown[]): number | undefined =>
  values.find((value): value is number => Number.isSafeInteger(value) && (value as number) > 0);
