import { readFileSync } from 'node:fs';
import { HiveError, type Issue } from '@hivekeeper/contract';
import { closest } from 'fastest-levenshtein';
import { parse, TomlError } from 'smol-toml';
import { z } from 'zod';
import { type AgentFile, agentFileSchema } from './agent-file.ts';

/** Reads the file of an agent. @throws HiveError AGENT_FILE_INVALID */
export function readAgentFile(path: string): AgentFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new HiveError('AGENT_FILE_INVALID', `${path} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, { cause });
  }
  try {
    return parseAgentFile(text);
  } catch (error) {
    if (!HiveError.is(error)) throw error;
    throw new HiveError(error.code, `${path}: ${error.message}`, { issues: error.issues });
  }
}

/** Checks the text of one, and fills in defaults. @throws HiveError AGENT_FILE_INVALID with every fault and its place */
export function parseAgentFile(text: string): AgentFile {
  const read = agentFileSchema.safeParse(tomlOf(text));
  if (read.success) return read.data;
  const issues = read.error.issues.flatMap(issuesOf);
  throw new HiveError('AGENT_FILE_INVALID', issues.map(({ path, message }) => `${path}: ${message}`).join('; '), { issues });
}

function tomlOf(text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [what = ''] = error.message.split('\n');
    throw new HiveError('AGENT_FILE_INVALID', `line ${error.line}, column ${error.column}: ${what}`);
  }
}

function issuesOf(issue: z.core.$ZodIssue): Issue[] {
  // A union tells what each of its branches says; the one that says most about fields knows best.
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const deepest = issue.errors.toSorted((one, other) => weightOf(other) - weightOf(one))[0] ?? [];
    return deepest.flatMap((inner) => issuesOf({ ...inner, path: [...issue.path, ...inner.path] }));
  }
  if (issue.code !== 'unrecognized_keys') return [{ path: `/${issue.path.join('/')}`, message: issue.message }];
  const valid = keysAt(issue.path);
  return issue.keys.map((key) => ({
    path: `/${[...issue.path, key].join('/')}`,
    message: `there is no such key${valid.length > 0 ? `; did you mean "${closest(key, valid)}"?` : ''}`,
  }));
}

const weightOf = (issues: readonly z.core.$ZodIssue[]): number =>
  Math.max(...issues.map(({ code, path }) => path.length * 2 + (code === 'unrecognized_keys' ? 1 : 0)));

type Shape = Pick<z.core.JSONSchema.BaseSchema, 'properties' | 'additionalProperties' | 'anyOf' | 'items'>;
let shape: Shape | undefined;

/** The keys that the file may have at a place. */
function keysAt(path: readonly PropertyKey[]): string[] {
  shape ??= z.toJSONSchema(agentFileSchema, { io: 'input', unrepresentable: 'any' }) as Shape;
  const found = path.reduce<Shape[]>((places, key) => places.flatMap((place) => below(place, String(key))), alternatives(shape));
  return found.flatMap(({ properties = {} }) => Object.keys(properties));
}

const alternatives = (place: Shape): Shape[] => [place, ...((place.anyOf ?? []) as Shape[])];

function below(place: Shape, key: string): Shape[] {
  const next = place.properties?.[key] ?? place.items ?? place.additionalProperties;
  return typeof next === 'object' && !Array.isArray(next) ? alternatives(next as Shape) : [];
}
