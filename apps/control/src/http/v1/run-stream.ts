import { Readable } from 'node:stream';
import { HiveError, isTerminal, type RunId, runIdSchema, type TenantId } from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, callerOf, textAnswer } from '../route.ts';
import type { Services } from '../services.ts';
import { EventFrames } from './event-frames.ts';
import type { OpenEnds } from './open-ends.ts';

const limits = { heartbeatMs: 15_000, unreadLimitBytes: 4 * 1024 * 1024, farewellMs: 10_000 };
export const streamHeaders = { 'cache-control': 'no-cache', connection: 'close', 'x-accel-buffering': 'no' };
const eventId = z.string().regex(/^\d{1,9}\.\d{1,9}$/, 'expected the id of an event such as 4.0');

const answered =
  'id: version.index; event: the type; data: the event as JSON. Without id: attempt.progressed, what a running attempt last said, and ' +
  'stream.ended, after which a reader comes back with Last-Event-ID';

/** A run's events as they are committed (Server-Sent Events). */
export function addRunStream(app: App, services: Services, openEnds: OpenEnds): void {
  app.get(
    '/v1/runs/:id/events',
    {
      config: { access: 'read' },
      exposeHeadRoute: false,
      schema: {
        summary: 'The run’s events from the first, or after the one named, to run.finished (SSE)',
        tags: ['runs'],
        params: z.strictObject({ id: runIdSchema }),
        querystring: z.strictObject({ lastEventId: eventId.optional() }),
        headers: z.looseObject({ 'last-event-id': eventId.optional() }),
        response: answers({ 200: textAnswer('text/event-stream', answered) }),
      },
    },
    async (request, reply) => {
      const frames = new EventFrames({ clock: services.clock, limits, cut: () => reply.raw.destroy() });
      reply.raw.once('close', () => frames.leave());
      const signal = openEnds.wait(reply.raw);
      signal.addEventListener('abort', () => frames.close('closing'), { once: true });
      if (signal.aborted) frames.close('closing');
      const lastId = request.headers['last-event-id'] ?? request.query.lastEventId;
      await follow(services, { tenantId: callerOf(request).tenantId, runId: request.params.id, lastId, frames });
      const stream = Readable.from(frames.frames(), { objectMode: false, highWaterMark: 16 * 1024 });
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
}

/** Connects the frames to the run until they take no more. */
async function follow({ runs, runStore }: Services, { frames, ...watch }: Watch): Promise<void> {
  // Asked first: where it says that the run is over, the journal read next holds the end, and nothing more will come.
  const summary = await runStore.summary(watch.tenantId, watch.runId);
  if (summary === undefined) throw new HiveError('NOT_FOUND', `there is no run ${watch.runId}`);
  const stop = await runs.watch({ ...watch, onNews: (news) => frames.push(news) });
  if (isTerminal(summary.status)) frames.finish();
  if (frames.closed.aborted) stop();
  else frames.closed.addEventListener('abort', stop, { once: true });
}
