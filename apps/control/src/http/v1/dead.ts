import { deadTicketSchema, type DeadTicketView, discardDeadSchema, listDeadQuerySchema, ticketIdSchema } from '@hivekeeper/contract';
import { z } from 'zod';
import { answers, type App, callerOf, mustTakeWork, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['dead tickets'];
const params = z.strictObject({ ticketId: ticketIdSchema });
const base = { tags, params, querystring: noQuery, response: answers({ 200: deadTicketSchema }) };

/** Tickets that failed for good: listing, reading, dealing with them. */
export function addDeadTickets(app: App, services: Services): void {
  const { dead, redaction } = services;
  const shown = ({ input, error, ...rest }: DeadTicketView): DeadTicketView => ({
    ...rest,
    input: redaction.value(input),
    error: {
      ...error,
      message: redaction.text(error.message),
      ...(error.excerpt !== undefined && { excerpt: redaction.text(error.excerpt) }),
    },
  });
  app.get(
    '/v1/dead',
    {
      config: { access: 'read' },
      schema: {
        summary: 'Tickets that failed for good and failed their runs, newest run first',
        tags,
        querystring: listDeadQuerySchema,
        response: answers({ 200: z.array(deadTicketSchema) }),
      },
    },
    async (request) => (await dead.list(callerOf(request).tenantId, request.query)).map(shown),
  );
  app.get(
    '/v1/dead/:ticketId',
    { config: { access: 'read' }, schema: { ...base, summary: 'A dead ticket with its evidence' } },
    async (request) => shown(await dead.get(callerOf(request).tenantId, request.params.ticketId)),
  );
  app.post(
    '/v1/dead/:ticketId/redrive',
    {
      config: { access: 'operate' },
      schema: { ...base, summary: 'Start a run that goes on from what failed the ticket’s run, once', body: z.strictObject({}) },
    },
    async (request) => {
      mustTakeWork(services);
      const { tenantId, subject } = callerOf(request);
      return shown(await dead.redrive({ tenantId, ticketId: request.params.ticketId, by: subject }));
    },
  );
  app.post(
    '/v1/dead/:ticketId/discard',
    {
      config: { access: 'operate' },
      schema: { ...base, summary: 'Say that nothing will be done about a dead ticket', body: discardDeadSchema },
    },
    async (request) => {
      const { tenantId, subject } = callerOf(request);
      return shown(await dead.discard({ tenantId, ticketId: request.params.ticketId, by: subject, reason: request.body.reason }));
    },
  );
}
