import {
  beatAnswerSchema,
  beatSchema,
  discoveredSchema,
  discoverSchema,
  type Duty,
  instanceIdSchema,
  instanceViewSchema,
  listInstancesQuerySchema,
  orderInstanceSchema,
  registeredInstanceSchema,
  registerInstanceSchema,
} from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, callerOf, mustTakeWork, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['registry'];
const params = z.strictObject({ id: instanceIdSchema });

/** Agents and workers that are registered as running. */
export function addRegistry(app: App, services: Services): void {
  addPresence(app, services);
  addFinding(app, services);
  addDuties(app, services);
}

/** What instances say of themselves; with a worker's key, so that no agent needs an admin's. */
function addPresence(app: App, services: Services): void {
  const { instances } = services;
  app.post(
    '/v1/registry/instances',
    {
      config: { access: 'instance' },
      schema: {
        summary: 'Register an agent that runs; 200 where the name was registered before, under the same id',
        tags,
        querystring: noQuery,
        body: registerInstanceSchema,
        response: answers({ 200: registeredInstanceSchema, 201: registeredInstanceSchema }),
      },
    },
    async (request, reply) => {
      mustTakeWork(services);
      const { tenantId, subject } = callerOf(request);
      const { telemetry, ...description } = request.body;
      const instance = await instances.register({ tenantId, description, telemetry, by: subject });
      return reply.code(instance.registrationCount === 1 ? 201 : 200).send({ ...instance, registration: instance.registrationCount });
    },
  );
  app.post(
    '/v1/registry/instances/:id/heartbeat',
    {
      config: { access: 'instance' },
      schema: {
        summary: 'Say that the agent lives, and how it fares; answers what it is to do',
        tags,
        params,
        querystring: noQuery,
        body: beatSchema,
        response: answers({ 200: beatAnswerSchema }),
      },
    },
    async (request) => instances.beat({ ...request.body, tenantId: callerOf(request).tenantId, id: request.params.id }),
  );
  app.delete(
    '/v1/registry/instances/:id',
    {
      config: { access: 'instance' },
      schema: { summary: 'Take an instance out', tags, params, querystring: noQuery, response: answers({ 204: z.null() }) },
    },
    async (request, reply) => {
      const { tenantId, subject } = callerOf(request);
      await instances.deregister({ tenantId, id: request.params.id, by: subject });
      return reply.code(204).send(null);
    },
  );
}

function addFinding(app: App, { instances }: Services): void {
  app.post(
    '/v1/registry/discover',
    {
      config: { access: 'instance' },
      schema: {
        summary: 'Who has all these capabilities, lives, and takes new work: the best first, with the reasons',
        tags,
        querystring: noQuery,
        body: discoverSchema,
        response: answers({ 200: discoveredSchema }),
      },
    },
    async (request) => instances.discover(callerOf(request).tenantId, request.body),
  );
  app.get(
    '/v1/registry/instances',
    {
      config: { access: 'read' },
      schema: {
        summary: 'Every agent and worker that is registered as running, also those that are gone',
        tags,
        querystring: listInstancesQuerySchema,
        response: answers({ 200: z.array(instanceViewSchema) }),
      },
    },
    async (request) => instances.list(callerOf(request).tenantId, request.query),
  );
  app.get(
    '/v1/registry/instances/:id',
    {
      config: { access: 'read' },
      schema: { summary: 'An instance', tags, params, querystring: noQuery, response: answers({ 200: instanceViewSchema }) },
    },
    async (request) => instances.get(callerOf(request).tenantId, request.params.id),
  );
}

const duties: readonly { readonly verb: string; readonly duty: Duty; readonly summary: string }[] = [
  { verb: 'cordon', duty: 'cordoned', summary: 'Give an instance nothing new' },
  { verb: 'uncordon', duty: 'active', summary: 'Let an instance get work again' },
  { verb: 'drain', duty: 'draining', summary: 'Let an instance finish what it has, and leave' },
];

function addDuties(app: App, { instances }: Services): void {
  for (const { verb, duty, summary } of duties)
    app.post(
      `/v1/registry/instances/:id/${verb}`,
      {
        config: { access: 'operate' },
        schema: {
          summary,
          tags,
          params,
          querystring: noQuery,
          body: orderInstanceSchema,
          response: answers({ 200: instanceViewSchema }),
        },
      },
      async (request) => {
        const { tenantId, subject } = callerOf(request);
        return instances.order({ tenantId, id: request.params.id, by: subject, duty, reason: request.body.reason });
      },
    );
}
