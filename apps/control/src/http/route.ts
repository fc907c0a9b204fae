import type { IncomingMessage, ServerResponse } from 'node:http';
import { type ErrorCode, errorCatalogue, HiveError } from '@hivekeeper/contract';
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Idempotency } from '../flow/triggers/index.ts';
import type { Permission, Principal } from '../records/keys/index.ts';
import type { Services } from './services.ts';

/** What a caller of a route must be permitted; `open`: nothing, nobody is asked for a key. */
export type Access = 'open' | Permission;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Every route says it; one that does not stops the server from starting. */
    access?: Access;
    /** CloudEvents are taken, too. */
    takesCloudEvents?: boolean;
  }
  interface FastifyRequest {
    /** Set once the caller is known; `null` on open routes. */
    caller: Principal | null;
  }
}

/** The server as route modules see it: bodies, queries and answers typed by their zod schemas. */
export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

/** The body of every error of `/v1`. */
export const errorBodySchema = z.object({
  error: z.object({
    code: z.enum(Object.keys(errorCatalogue) as [ErrorCode, ...ErrorCode[]]),
    message: z.string(),
    remedy: z.string().describe('What to do about it'),
    issues: z.array(z.object({ path: z.string().describe('JSON pointer into the input'), message: z.string() })).optional(),
    requestId: z.string().optional(),
  }),
});

/** The answers of a route: its own, and the errors all routes share. */
export const answers = <Own extends Record<number, z.ZodType | TextAnswer>>(own: Own) => ({
  ...own,
  '4xx': errorBodySchema,
  '5xx': errorBodySchema,
});

interface TextAnswer {
  readonly description: string;
  readonly content: Record<string, { readonly schema: z.ZodType }>;
}

/** An answer that is not JSON. */
export const textAnswer = (mediaType: string, description: string): TextAnswer => ({
  description,
  content: { [mediaType]: { schema: z.string() } },
});

/** A query that may hold nothing: a misspelt parameter is told instead of ignored. */
export const noQuery = z.strictObject({});

/** Largest integer a column of type integer holds. */
export const maxInteger = 2_147_483_647;

/** Headers of a call that counts once per key, and what that means. */
export const idempotencyHeadersSchema = (meaning: string) =>
  z.looseObject({ 'idempotency-key': z.string().min(1).max(255).optional().describe(meaning) });

/** Headers of a call that starts a run. */
export const triggerHeadersSchema = idempotencyHeadersSchema('The same key with the same body gives the same run, for 7 days');

/** The key that makes the call count once on its route, where it carries one. */
export function idempotencyOf({ headers, routeOptions }: Pick<FastifyRequest, 'headers' | 'routeOptions'>): Idempotency | undefined {
  const key = headers['idempotency-key'];
  return typeof key === 'string' ? { route: routeOptions.url ?? '', key } : undefined;
}

/** Who is calling a route that is not open. */
export function callerOf({ caller }: { readonly caller: Principal | null }): Principal {
  if (caller === null) throw new HiveError('UNAUTHENTICATED');
  return caller;
}

/** @throws HiveError SHUTTING_DOWN where no new work is taken. */
export function mustTakeWork(services: Services): void {
  if (services.isDraining()) throw new HiveError('SHUTTING_DOWN');
}
