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
