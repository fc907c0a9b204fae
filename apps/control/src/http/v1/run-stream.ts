import { Readable } from 'node:stream';
import { HiveError, isTerminal, type RunId, runIdSchema, type TenantId } from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, callerOf, textAnswer } from '../route.ts';
import type { Services } from '../services.ts';
import { EventFrames } from './event-frames.ts';
import type { OpenEnds } from './open-ends.ts';

const limits = { heartbeatMs: 15_000, mostUnread: 10_000 };
const streamHeaders = { 'cache-control': 'no-cache', connection: 'close', 'x-accel-buffering': 'no' };
const eventId = z.string().regex(/^\d{1,9}\.\d{1,9}$/, 'expected the id of an event such as 4.0');

/** A run's events as they are committed (Server-Sent Events). */
export function addRunStream(app: App, services: Services, openEnds: OpenEnds): void {
  app.get(
    '/v1/runs/:id/events',
    {
      config: { access: 'admin' },
      exposeHeadRoute: false,
      schema: {
        summary: 'The run’s events from the first, or after the one named, to run.finished (SSE)',
        tags: ['runs'],
        params: z.strictObject({ id: runIdSchema }),
        querystring: z.strictObject({ lastEventId: eventId.optional() }),
        headers: z.looseObject({ 'last-event-id': eventId.optional() }),
        response: answers({
          200: textAnswer('text/event-stream', 'id: version.index; event: the notice’s type; data: the notice as JSON'),
        }),
      },
    },
    async (request, reply) => {
      const lastId = request.headers['last-event-id'] ?? request.query.lastEventId;
      const frames = new EventFrames(services.clock, limits, () => reply.raw.destroy());
      const signal = openEnds.wait(reply.raw);
      const past = await follow(services, { tenantId: callerOf(request).tenantId, runId: request.params.id, lastId, frames, signal });
      const stream = Readable.from(frames.frames(past), { objectMode: false, highWaterMark: 16 * 1024 });
      return reply
        .type('text/event-stream; charset=utf-8')
        .headers(streamHeaders)
        .send(stream as never);
    },
  );
}

interface Watch {
  readonly tenantId: TenantId;
  readonly runId: RunId;
  readonly lastId: string | undefined;
  readonly frames: EventFrames;
  readonly signal: AbortSignal;
}

/** Connects the frames to the run until the signal aborts; gives what is past. */
async function follow({ runs, runStore }: Services, { tenantId, runId, lastId, frames, signal }: Watch) {
  // Asked first: where it says that the run is over, the journal read next holds the end, and nothing more will come.
  const summary = await runStore.summary(tenantId, runId);
  if (summary === undefined) throw new HiveError('NOT_FOUND', `there is no run ${runId}`);
  const { past, stop } = await runs.notices({ tenantId, runId, lastId, onMore: (notices) => frames.push(notices) });
  const finish = () => {
    stop();
    frames.end();
  };
  if (isTerminal(summary.status) || signal.aborted) finish();
  else signal.addEventListener('abort', finish, { once: true });
  return past;
}
