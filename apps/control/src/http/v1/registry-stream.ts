import { Readable } from 'node:stream';
import { answers, type App, callerOf, noQuery, textAnswer } from '../route.ts';
import type { Services } from '../services.ts';
import { ChangeFrames } from './change-frames.ts';
import type { OpenEnds } from './open-ends.ts';
import { streamHeaders } from './run-stream.ts';

const limits = { heartbeatMs: 15_000, unreadLimitBytes: 16 * 1024 * 1024 };
const answered = 'event: the type; data: the change as JSON. First every instance there is, as instance.present';

/** What becomes of instances, as it happens (Server-Sent Events). */
export function addRegistryStream(app: App, { instances, clock }: Services, openEnds: OpenEnds): void {
  app.get(
    '/v1/registry/watch',
    {
      config: { access: 'read' },
      exposeHeadRoute: false,
      schema: {
        summary: 'Every instance there is, then what becomes of them (SSE)',
        tags: ['registry'],
        querystring: noQuery,
        response: answers({ 200: textAnswer('text/event-stream', answered) }),
      },
    },
    async (request, reply) => {
      const frames = new ChangeFrames(clock, limits);
      const stop = instances.follow(callerOf(request).tenantId, (change) => frames.push(change));
      const finish = () => {
        stop();
        frames.end();
      };
      const signal = openEnds.wait(reply.raw);
      if (signal.aborted) finish();
      else signal.addEventListener('abort', finish, { once: true });
      const stream = Readable.from(frames.frames(), { objectMode: false, highWaterMark: 16 * 1024 });
      return reply
        .type('text/event-stream; charset=utf-8')
        .headers(streamHeaders)
        .send(stream as never);
    },
  );
}
