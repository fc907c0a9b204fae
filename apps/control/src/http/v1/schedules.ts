import {
  changeScheduleSchema,
  createScheduleSchema,
  nameSchema,
  pauseScheduleSchema,
  type ScheduleRule,
  scheduleDetailSchema,
  schedulePreviewSchema,
  scheduleViewSchema,
} from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, callerOf, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['schedules'];
// Names of declared schedules end in a number that makes them longer than names may be.
const params = z.strictObject({ name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,109}$/i, 'expected the name of a schedule') });
const mostPreviewed = 100;

/** Schedules: listing, reading, making, changing, pausing. */
export function addSchedules(app: App, services: Services): void {
  addReading(app, services);
  addMaking(app, services);
  addPausing(app, services);
}

const ruleIn = ({ cron, timeZone, catchUp, overlap, jitterMs }: ScheduleRule): ScheduleRule => ({
  cron,
  timeZone,
  catchUp,
  overlap,
  jitterMs,
});

function addReading(app: App, { schedules }: Services): void {
  app.get(
    '/v1/schedules',
    {
      config: { access: 'read' },
      schema: {
        summary: 'Every schedule, or those of a workflow',
        tags,
        querystring: z.strictObject({ workflow: nameSchema.optional() }),
        response: answers({ 200: z.array(scheduleViewSchema) }),
      },
    },
    async (request) => [...(await schedules.list(callerOf(request).tenantId, request.query))],
  );
  app.get(
    '/v1/schedules/:name',
    {
      config: { access: 'read' },
      schema: {
        summary: 'A schedule, and what became of its last instants',
        tags,
        params,
        querystring: noQuery,
        response: answers({ 200: scheduleDetailSchema }),
      },
    },
    async (request) => schedules.detail(callerOf(request).tenantId, request.params.name),
  );
  app.get(
    '/v1/schedules/:name/preview',
    {
      config: { access: 'read' },
      schema: {
        summary: 'The next instants, as if nothing were in their way',
        tags,
        params,
        querystring: z.strictObject({ count: z.coerce.number().int().min(1).max(mostPreviewed).default(10) }),
        response: answers({ 200: schedulePreviewSchema }),
      },
    },
    async (request) => schedules.preview(callerOf(request).tenantId, request.params.name, request.query.count),
  );
}

function addMaking(app: App, { schedules }: Services): void {
  app.post(
    '/v1/schedules',
    {
      config: { access: 'administer' },
      schema: {
        summary: 'Make a schedule; 200 where the same is there',
        tags,
        querystring: noQuery,
        body: createScheduleSchema,
        response: answers({ 200: scheduleViewSchema, 201: scheduleViewSchema }),
      },
    },
    async (request, reply) => {
      const { tenantId, subject } = callerOf(request);
      const { name, workflow, context, ...rule } = request.body;
      const { schedule, isNew } = await schedules.create({ tenantId, name, workflow, context, rule: ruleIn(rule), by: subject });
      return reply.code(isNew ? 201 : 200).send(schedule);
    },
  );
  app.put(
    '/v1/schedules/:name',
    {
      config: { access: 'administer' },
      schema: {
        summary: 'Change a schedule; its instants count from now on',
        tags,
        params,
        querystring: noQuery,
        body: changeScheduleSchema,
        response: answers({ 200: scheduleViewSchema }),
      },
    },
    async (request) => {
      const { tenantId, subject } = callerOf(request);
      const { context, ...rule } = request.body;
      return schedules.change({ tenantId, name: request.params.name, context, rule: ruleIn(rule), by: subject });
    },
  );
  app.delete(
    '/v1/schedules/:name',
    {
      config: { access: 'administer' },
      schema: { summary: 'Remove a schedule; its runs stay', tags, params, querystring: noQuery, response: answers({ 204: z.null() }) },
    },
    async (request, reply) => {
      const { tenantId, subject } = callerOf(request);
      await schedules.remove({ tenantId, name: request.params.name, by: subject });
      return reply.code(204).send(null);
    },
  );
}

function addPausing(app: App, { schedules }: Services): void {
  app.post(
    '/v1/schedules/:name/pause',
    {
      config: { access: 'operate' },
      schema: {
        summary: 'Serve nothing of a schedule until it is resumed',
        tags,
        params,
        querystring: noQuery,
        body: pauseScheduleSchema,
        response: answers({ 200: scheduleViewSchema }),
      },
    },
    async (request) => {
      const { tenantId, subject } = callerOf(request);
      return schedules.pause({ tenantId, name: request.params.name, by: subject, reason: request.body.reason });
    },
  );
  app.post(
    '/v1/schedules/:name/resume',
    {
      config: { access: 'operate' },
      schema: {
        summary: 'Let a paused schedule go on from now',
        tags,
        params,
        querystring: noQuery,
        body: z.strictObject({}),
        response: answers({ 200: scheduleViewSchema }),
      },
    },
    async (request) => {
      const { tenantId, subject } = callerOf(request);
      return schedules.resume({ tenantId, name: request.params.name, by: subject });
    },
  );
}
