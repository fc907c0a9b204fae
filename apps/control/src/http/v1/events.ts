import {
  eventIdSchema,
  eventViewSchema,
  HiveError,
  listEventsQuerySchema,
  publishedSchema,
  publishEventSchema,
} from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, callerOf, mustTakeWork, noQuery, triggerHeadersSchema } from '../route.ts';
import { eventBodyOf } from './cloud-events.ts';
import type { Services } from '../services.ts';

const tags = ['events'];
// It ends in the journal of every run that gets it, as a signal does.
const eventLimitBytes = 256 * 1024;

/** Events: publishing, listing, reading. */
export function addEvents(app: App, services: Services): void {
  addPublishing(app, services);
  addReading(app, services);
}

function addPublishing(app: App, services: Services): void {
  app.post(
    '/v1/events',
    {
      bodyLimit: eventLimitBytes,
      config: { access: 'publish', takesCloudEvents: true },
      preValidation: async (request) => {
        request.body = eventBodyOf(request) as typeof request.body;
      },
      schema: {
        summary:
          'Publish an event to every run that waits for it, or will, and start those whose trigger means it; 200 where it was published before. CloudEvents 1.0 are taken in structured and binary mode',
        tags,
        querystring: noQuery,
        headers: triggerHeadersSchema,
        body: publishEventSchema,
        response: answers({ 200: publishedSchema, 201: publishedSchema }),
      },
    },
    async (request, reply) => {
      mustTakeWork(services);
      const { tenantId, subject } = callerOf(request);
      const { eventId, ...event } = request.body;
      const dedupeKey = eventId ?? request.headers['idempotency-key'];
      const { isReplay, ...published } = await services.events.publish({ ...event, tenantId, by: subject, dedupeKey });
      if (isReplay) void reply.header('idempotent-replayed', 'true');
      return reply.code(isReplay ? 200 : 201).send(published);
    },
  );
}

function addReading(app: App, services: Services): void {
  app.get(
    '/v1/events',
    {
      config: { access: 'read' },
      schema: {
        summary: 'Events of the last 30 days, newest first',
        tags,
        querystring: listEventsQuerySchema,
        response: answers({ 200: z.array(eventViewSchema) }),
      },
    },
    async (request) => [...(await services.events.list(callerOf(request).tenantId, request.query))],
  );
  app.get(
    '/v1/events/:id',
    {
      config: { access: 'read' },
      schema: {
        summary: 'An event',
        tags,
        params: z.strictObject({ id: eventIdSchema }),
        querystring: noQuery,
        response: answers({ 200: eventViewSchema }),
      },
    },
    async (request) => {
      const event = await services.events.find(callerOf(request).tenantId, request.params.id);
      if (event === undefined) throw new HiveError('NOT_FOUND', `there is no event ${request.params.id}`);
      return event;
    },
  );
}
