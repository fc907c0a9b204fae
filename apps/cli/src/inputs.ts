import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { JsonObject, JsonValue, WorkflowInput } from '@hivekeeper/contract';
import { HiveError } from '@hivekeeper/contract/hive-error';

/** The context that `--input` options give: `name=value` sets one field, `@file` all fields of a document; the last one wins. */
export async function contextOf(inputs: readonly string[], directory: string): Promise<JsonObject> {
  const parts = await Promise.all(
    inputs.map((input) => (input.startsWith('@') ? readObject(resolve(directory, input.slice(1))) : fieldOf(input))),
  );
  return Object.assign({}, ...parts) as JsonObject;
}

/** `name=value`: the value is JSON where it parses as such, else the text itself. @throws HiveError COMMAND_INVALID */
export function fieldOf(input: string): JsonObject {
  const at = input.indexOf('=');
  if (at < 1) throw new HiveError('COMMAND_INVALID', `--input ${input} is neither name=value nor @file`);
  return { [input.slice(0, at)]: valueOf(input.slice(at + 1)) };
}

function valueOf(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}

/** What `--payload` gives: a document from a file, else as {@link fieldOf} reads a value. */
export const payloadOf = async (text: string, directory: string): Promise<JsonValue> =>
  text.startsWith('@') ? readDocument(resolve(directory, text.slice(1))) : valueOf(text);

const unitMs = { s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `90s`, `15min`, `2h`, `1d` in milliseconds. @throws HiveError COMMAND_INVALID */
export function durationOf(text: string): number {
  const [, count, unit] = /^(\d{1,6})(s|min|h|d)$/.exec(text) ?? [];
  if (count === undefined) throw new HiveError('COMMAND_INVALID', `${text} is no duration such as 90s, 15min, 2h or 1d`);
  return Number(count) * unitMs[unit as keyof typeof unitMs];
}

/** An ISO 8601 time with its zone, or how long ago it was. @throws HiveError COMMAND_INVALID */
export function instantOf(text: string, nowMs: number): number {
  if (/^\d{1,6}(s|min|h|d)$/.test(text)) return nowMs - durationOf(text);
  const atMs = /^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(atMs))
    throw new HiveError('COMMAND_INVALID', `${text} is neither a time such as 2026-01-31T12:00:00Z nor an age such as 2h`);
  return atMs;
}

async function readObject(path: string): Promise<JsonObject> {
  const document = await readDocument(path);
  if (typeof document === 'object' && document !== null && !Array.isArray(document)) return document as JsonObject;
  throw new HiveError('INVALID_REQUEST', `${path} does not hold an object`);
}

/** Reads JSON or YAML (which JSON is a part of). @throws HiveError NOT_FOUND, INVALID_REQUEST */
async function readDocument(path: string): Promise<JsonValue> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new HiveError('NOT_FOUND', `${path} cannot be read`, { cause });
  });
  const { parse } = await import('yaml');
  try {
    return (path.endsWith('.json') ? JSON.parse(text) : parse(text)) as JsonValue;
  } catch (cause) {
    throw new HiveError('INVALID_REQUEST', `${path}: ${(cause as Error).message.split('\n')[0]}`, { cause });
  }
}

/** Reads a workflow's file: JSON, YAML, or a module that exports it as `workflow` or as its default. */
export async function readWorkflow(path: string): Promise<WorkflowInput> {
  if (!/\.[cm]?[jt]s$/.test(path)) return (await readDocument(path)) as unknown as WorkflowInput;
  const module = (await import(pathToFileURL(path).href)) as { readonly workflow?: WorkflowInput; readonly default?: WorkflowInput };
  const workflow = module.workflow ?? module.default;
  if (workflow === undefined) throw new HiveError('WORKFLOW_INVALID', `${path} exports no workflow`);
  return workflow;
}
