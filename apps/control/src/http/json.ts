import { findJsonDefect, HiveError, type Issue } from '@hivekeeper/contract';
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';

const decoder = new TextDecoder('utf-8', { fatal: true });
const mostIssues = 50;
/** The media type of a CloudEvent that is the whole body. */
export const cloudEventType = 'application/cloudevents+json';

/** Reads JSON bodies, and refuses what could not be stored unchanged, in bodies, queries and paths alike. */
export function readJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, parseBody(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  // On the one route that takes it, the route itself makes ordinary JSON of it.
  app.addContentTypeParser(cloudEventType, { parseAs: 'buffer' }, (request, body, done) => {
    try {
      if (request.routeOptions.config.takesCloudEvents !== true) throw new HiveError('UNSUPPORTED_MEDIA_TYPE');
      done(null, parseBody(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  app.addHook('preValidation', (request, _reply, done) => {
    // Where all fields may be absent, so may the body.
    if (request.body === undefined && request.routeOptions.schema?.body !== undefined) request.body = {};
    const defect = findJsonDefect(request.params) ?? findJsonDefect(request.query);
    done(defect === undefined ? undefined : unstorable(defect));
  });
}

/** A JSON document as sent; `undefined` for an empty body. @throws HiveError MALFORMED_JSON, UNSTORABLE_VALUE */
export function parseBody(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return undefined;
  const value = parse(bytes);
  const defect = findJsonDefect(value);
  if (defect !== undefined) throw unstorable(defect);
  return value;
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes));
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? cause.message : 'it is not UTF-8';
    throw new HiveError('MALFORMED_JSON', `the body is not JSON: ${reason}`, { cause, issues: [{ path: '', message: reason }] });
  }
}

const unstorable = ({ path, reason }: { path: string; reason: string }): HiveError =>
  new HiveError('UNSTORABLE_VALUE', `the value at "${path}" cannot be stored: ${reason}`, { issues: [{ path, message: reason }] });

const parts: Readonly<Record<string, string>> = { querystring: 'in the query: ', params: 'in the path: ', headers: 'in the headers: ' };

/** Validates one part of a request with its zod schema. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart = 'body' }) =>
  (data: unknown) => {
    const result = schema.safeParse(data);
    if (result.success) return { value: result.data };
    const issues = issuesOf(result.error.issues).slice(0, mostIssues);
    const where = parts[httpPart] ?? '';
    const [first] = issues;
    return {
      error: new HiveError(
        'INVALID_REQUEST',
        first === undefined ? undefined : `${where}${first.path === '' ? '' : `${first.path}: `}${first.message}`,
        { issues },
      ),
    };
  };

type ZodIssue = z.core.$ZodIssue;

/** A validator's findings as the API tells them: one per field, by JSON pointer. */
export function issuesOf(found: readonly ZodIssue[], base: readonly PropertyKey[] = []): Issue[] {
  return found.flatMap((issue): Issue[] => {
    const path = [...base, ...issue.path];
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({ path: pointerOf([...path, key]), message: 'there is no such field' }));
    // Of a union's alternatives, the one that fits in kind tells most; where none fits, the union itself is what failed.
    const fitting =
      issue.code === 'invalid_union' ? issue.errors.find((branch) => branch.every((inner) => inner.path.length > 0)) : undefined;
    return fitting === undefined || fitting.length === 0 ? [{ path: pointerOf(path), message: issue.message }] : issuesOf(fitting, path);
  });
}

const pointerOf = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).slice(0, 80).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
