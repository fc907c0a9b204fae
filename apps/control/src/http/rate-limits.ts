import rateLimit from '@fastify/rate-limit';
import { HiveError } from '@hivekeeper/contract';
import type { FastifyInstance } from 'fastify';
import { type Access, callerOf } from './route.ts';
import type { RateLimits } from './services.ts';

const windowMs = 60_000;
const probe = '/api/health';
/** What CommandCenter's clients look for. */
const refusal = 'Too many requests, please try again later';

/**
 * Counts calls and refuses those above the limit, in windows that begin with a caller's first call. `/api` is counted
 * before anybody asks for a key, `/v1` when the caller is known; both before a byte of the body is read. Probes are never
 * limited, and calls to `/v1` without a valid key are not counted. Counts are this process's own: several control planes
 * count apart, and a start begins anew.
 */
export async function limitRates(app: FastifyInstance, { apiPerMinute, v1PerMinute }: RateLimits): Promise<void> {
  await app.register(rateLimit, {
    global: false,
    enableDraftSpec: true,
    timeWindow: windowMs,
    errorResponseBuilder: () => new HiveError('RATE_LIMITED', refusal),
  });
  const policyOf = (mostCalls: number) => `${mostCalls};w=${windowMs / 1_000}`;
  if (apiPerMinute > 0) {
    const count = app.rateLimit({ max: apiPerMinute });
    app.addHook('onRequest', async (request, reply) => {
      if (!isOf('/api', request.url) || request.routeOptions.url === probe) return;
      void reply.header('ratelimit-policy', policyOf(apiPerMinute));
      await count.call(app, request, reply);
    });
  }
  if (v1PerMinute > 0) {
    const count = app.rateLimit({
      max: v1PerMinute,
      keyGenerator: (request) => `${callerOf(request).tenantId} ${callerOf(request).subject}`,
    });
    app.addHook('preParsing', async (request, reply) => {
      if (!isOf('/v1', request.url) || uncounted.has(request.routeOptions.config.access ?? 'open')) return;
      void reply.header('ratelimit-policy', policyOf(v1PerMinute));
      await count.call(app, request, reply);
    });
  }
}

// Workers and agents call as often as we tell them to.
const uncounted: ReadonlySet<Access> = new Set(['open', 'worker', 'instance']);

const isOf = (prefix: string, url: string): boolean => url === prefix || (/^[/?]/.test(url.slice(prefix.length)) && url.startsWith(prefix));
