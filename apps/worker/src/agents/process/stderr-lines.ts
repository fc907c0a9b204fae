import { type JsonObject, type JsonValue, findJsonDefect, microUsdSchema } from '@hivekeeper/contract';

/** A line of stderr that the agent contract gives a meaning, or just text. */
export type StderrLine =
  | { readonly kind: 'progress'; readonly progress: JsonValue }
  | { readonly kind: 'error'; readonly message: string; readonly dependency?: string }
  | { readonly kind: 'cost'; readonly microUsd: number }
  | { readonly kind: 'text' };

const text: StderrLine = { kind: 'text' };

/** Understands `{"progress": …}`, `{"costMicroUsd": …}` and `{"error": …, "dependency"?: …}` on a line of their own. */
export function readStderrLine(line: string): StderrLine {
  if (!line.startsWith('{')) return text;
  const value = parse(line);
  if (value === undefined || findJsonDefect(value) !== undefined) return text;
  if (value['progress'] !== undefined) return { kind: 'progress', progress: value['progress'] };
  const { error, dependency, costMicroUsd } = value;
  const cost = microUsdSchema.safeParse(costMicroUsd);
  if (cost.success) return { kind: 'cost', microUsd: cost.data };
  if (error === undefined) return text;
  return { kind: 'error', message: messageOf(error), ...(typeof dependency === 'string' && { dependency }) };
}

function parse(line: string): JsonObject | undefined {
  try {
    return JSON.parse(line) as JsonObject;
  } catch {
    return undefined;
  }
}

function messageOf(error: JsonValue): string {
  if (typeof error === 'string') return error;
  const message = typeof error === 'object' && error !== null && 'message' in error ? error.message : undefined;
  return typeof message === 'string' ? message : JSON.stringify(error);
}
