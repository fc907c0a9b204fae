import {
  heartbeatRequestSchema,
  heartbeatResponseSchema,
  type Outcome,
  pollRequestSchema,
  pollResponseSchema,
  registerWorkerSchema,
  releaseRequestSchema,
  settleRequestSchema,
} from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, mustTakeWork, noQuery } from '../route.ts';
import type { Services } from '../services.ts';
import type { OpenEnds } from './open-ends.ts';
import { WorkerLines } from './worker-lines.ts';

const tags = ['worker'];
const access = 'worker';
/** An agent's output and its envelope. */
const settleLimitBytes = 16 * 1024 * 1024;
const done = answers({ 204: z.null() });

/** The worker protocol: the calls made most, so they do no more than they must. */
export function addWorkerCalls(app: App, services: Services, openEnds: OpenEnds): void {
  addLineCalls(app, services, openEnds);
  addLeaseCalls(app, services);
}

/** How a worker comes by tickets. */
function addLineCalls(app: App, services: Services, openEnds: OpenEnds): void {
  const lines = new WorkerLines(services.desk, services.clock);
  app.post(
    '/v1/worker/register',
    {
      config: { access },
      schema: {
        summary: 'Say who the worker is and what it can run',
        tags,
        querystring: noQuery,
        body: registerWorkerSchema,
        response: done,
      },
    },
    async (request, reply) => {
      mustTakeWork(services);
      lines.register(request.body);
      return reply.code(204).send(null);
    },
  );
  app.post(
    '/v1/worker/poll',
    {
      config: { access },
      schema: {
        summary: 'Wait for tickets; 404 says that the worker has to register again',
        tags,
        querystring: noQuery,
        body: pollRequestSchema,
        response: answers({ 200: pollResponseSchema }),
      },
    },
    async (request, reply) => {
      // Without credits it asks for nothing new: a draining worker may still fetch, and give back, what it was leased.
      if (request.body.credits > 0) mustTakeWork(services);
      return lines.poll(request.body, openEnds.wait(reply.raw));
    },
  );
}

/** What a worker does with the tickets it holds. */
function addLeaseCalls(app: App, services: Services): void {
  app.post(
    '/v1/worker/heartbeat',
    {
      config: { access },
      schema: {
        summary: 'Renew leases',
        tags,
        querystring: noQuery,
        body: heartbeatRequestSchema,
        response: answers({ 200: heartbeatResponseSchema }),
      },
    },
    async (request) => ({
      revoked: await services.desk.heartbeat(request.body.workerId, request.body.tickets),
    }),
  );
  app.post(
    '/v1/worker/settle',
    {
      bodyLimit: settleLimitBytes,
      config: { access },
      schema: {
        summary: 'Report what a ticket came to; the same ticket and token again give the same answer',
        tags,
        querystring: noQuery,
        body: settleRequestSchema,
        response: done,
      },
    },
    async (request, reply) => {
      await services.runs.settle({ ...request.body, outcome: request.body.outcome as Outcome });
      return reply.code(204).send(null);
    },
  );
  app.post(
    '/v1/worker/release',
    {
      config: { access },
      schema: { summary: 'Give tickets back unstarted', tags, querystring: noQuery, body: releaseRequestSchema, response: done },
    },
    async (request, reply) => {
      await services.desk.release(request.body.workerId, request.body.tickets);
      return reply.code(204).send(null);
    },
  );
}
