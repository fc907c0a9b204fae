import { errorBodyOf, HiveError, type Readiness, readinessSchema } from '@hivekeeper/contract';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { remedies } from '../flow/health/index.ts';
import { answers, type App } from './route.ts';
import type { Services } from './services.ts';

const longestProbeMs = 5_000;

const state = z.object({ status: z.string() });
const timedState = state.extend({ timestamp: z.iso.datetime() });
const open = (summary: string, response: ReturnType<typeof answers>) => ({
  config: { access: 'open' as const },
  schema: { summary, tags: ['probes'], response },
});

/** The addresses that say how the process is. Open to all and never limited, because those who ask have no key. */
export function addProbes(app: App, services: Services): void {
  const isDatabaseUp = sharedProbe(services);
  const timestamp = () => new Date(services.clock.nowMs()).toISOString();
  app.get('/live', open('The process answers', answers({ 200: state })), async () => ({ status: 'alive' }));
  app.get('/health', open('The process answers, and when', answers({ 200: timedState })), async () => ({
    status: 'ok',
    timestamp: timestamp(),
  }));
  app.get('/health/db', open('The database takes writes', answers({ 200: state, 503: state })), async (_request, reply) =>
    (await isDatabaseUp()) ? { status: 'connected' } : reply.code(503).header('retry-after', '1').send({ status: 'disconnected' }),
  );
  app.get('/health/nats', open('Always 503: there is no NATS in this installation', answers({ 503: state })), async (_request, reply) =>
    reply.code(503).send({ status: 'not_configured' }),
  );
  app.get(
    '/ready',
    open(
      'New work is taken and work moves: a write was committed, and no part stands still',
      answers({ 200: readyState, 503: readyState }),
    ),
    async (request, reply) => {
      if (services.isDraining())
        return notReady(reply, { status: 'draining', ready: false, ...errorBodyOf(new HiveError('SHUTTING_DOWN'), request.id) });
      const readiness = (await isDatabaseUp()) ? services.health.readiness() : databaseFault;
      if (readiness.ready) return { status: 'ready', ...readiness };
      const fault = new HiveError(readiness.part === 'database' ? 'DATABASE_UNAVAILABLE' : 'STALLED', readiness.detail);
      return notReady(reply, { status: 'unavailable', ...readiness, ...errorBodyOf(fault, request.id) });
    },
  );
  app.get('/api/health', open('As CommandCenter tells it', answers({ 200: facadeHealth, 503: facadeHealth })), async (_request, reply) => {
    const database = await isDatabaseUp();
    return reply
      .code(database ? 200 : 503)
      .send({ status: database ? 'ok' : 'degraded', service: 'orchestration', database, nats: false, timestamp: timestamp() });
  });
}

const facadeHealth = timedState.extend({
  service: z.literal('orchestration'),
  database: z.boolean(),
  nats: z.boolean().describe('False: NATS is not part of this installation, and not needed'),
});

const readyState = state.extend(readinessSchema.shape).loose();
const databaseFault: Readiness = { ready: false, part: 'database', detail: 'a write was not committed', remedy: remedies.database };

const notReady = (reply: FastifyReply, body: object) => reply.code(503).header('retry-after', '1').send(body);

/** One probe at a time, however many ask: open routes must not become a way to load the database. */
function sharedProbe({ probeDatabase, clock, log }: Services): () => Promise<boolean> {
  let underWay: Promise<boolean> | undefined;
  const probe = (): Promise<boolean> =>
    new Promise((resolve) => {
      const timer = clock.after(longestProbeMs, () => resolve(false));
      const finish = (isUp: boolean) => {
        timer.cancel();
        resolve(isUp);
      };
      probeDatabase().then(
        () => finish(true),
        (error: unknown) => {
          log.warn({ err: error }, 'the database did not take a write');
          finish(false);
        },
      );
    });
  return () =>
    (underWay ??= probe().finally(() => {
      underWay = undefined;
    }));
}
