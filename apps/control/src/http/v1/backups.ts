import { backupNameSchema, backupQuerySchema, backupVerificationSchema, backupViewSchema, createBackupSchema } from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, callerOf, mustTakeWork, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['platform'];
// A name of our own making, so it leads to no other place.
const params = z.strictObject({ name: backupNameSchema });

/** Backups: made, looked at and checked here, restored where no control plane runs. */
export function addBackups(app: App, services: Services): void {
  const { backups } = services;
  app.post(
    '/v1/backups',
    {
      config: { access: 'administer' },
      schema: {
        summary: 'Begin a backup',
        tags,
        querystring: noQuery,
        body: createBackupSchema,
        response: answers({ 202: backupViewSchema }),
      },
    },
    async (request, reply) => {
      mustTakeWork(services);
      return reply.status(202).send(backups.create({ keep: request.body.keep, by: callerOf(request).subject }));
    },
  );
  app.get(
    '/v1/backups',
    {
      config: { access: 'read' },
      schema: { summary: 'Backups, newest first', tags, querystring: noQuery, response: answers({ 200: z.array(backupViewSchema) }) },
    },
    async () => backups.list(),
  );
  app.get(
    '/v1/backups/:name',
    {
      config: { access: 'read' },
      schema: {
        summary: 'A backup; waits for one that is being written',
        tags,
        params,
        querystring: backupQuerySchema,
        response: answers({ 200: backupViewSchema }),
      },
    },
    async (request) => backups.get(request.params.name, request.query.waitMs),
  );
  app.get(
    '/v1/backups/:name/verification',
    {
      config: { access: 'operate' },
      schema: {
        summary: 'Read a backup from end to end, and tell what is wrong with it',
        tags,
        params,
        querystring: noQuery,
        response: answers({ 200: backupVerificationSchema }),
      },
    },
    async (request) => backups.verify(request.params.name),
  );
}
