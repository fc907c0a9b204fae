import {
  approvalIdSchema,
  HiveError,
  mqttAgentIdIn,
  type RunId,
  runIdOfApproval,
  runIdOfTicket,
  runIdSchema,
  statusSchema,
  type ThrottledBy,
  type TicketId,
  ticketIdSchema,
  type Why,
  whySchema,
  workerViewSchema,
} from '@hivekeeper/contract';
import { z } from 'zod';
import { type AgentOverMqtt, explain } from '../../flow/runs/index.ts';
import { answers, type App, callerOf, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['platform'];
// One is named, and whether there are more.
const shownHolders = 2;
const whyParams = z.strictObject({
  id: z
    .union([runIdSchema, ticketIdSchema, approvalIdSchema], 'expected the id of a run, a ticket or an approval, such as run_01JD…')
    .describe('Of a run, a ticket or an approval'),
});

/** How the installation is, and why something waits. */
export function addInstallation(app: App, services: Services): void {
  app.get(
    '/v1/workers',
    {
      config: { access: 'read' },
      schema: {
        summary: 'The workers at this control plane',
        tags,
        querystring: noQuery,
        response: answers({ 200: z.array(workerViewSchema) }),
      },
    },
    async () => services.desk.workers(),
  );
  app.get(
    '/v1/status',
    {
      config: { access: 'read' },
      schema: {
        summary: 'What the installation is, and how it fares',
        tags,
        querystring: noQuery,
        response: answers({ 200: statusSchema }),
      },
    },
    async (request) => {
      const { version, epoch, authentication, startedAtMs, census, tickets, desk } = services;
      const [{ byStatus }, { ready, leased }] = await Promise.all([census.counts(callerOf(request).tenantId), tickets.counts()]);
      // A ticket is issued when it is due and not before, so none is ever delayed.
      return {
        version,
        epoch,
        authentication,
        startedAtMs,
        runs: { ...byStatus },
        tickets: { ready, leased, delayed: 0 },
        workers: desk.workers(),
        health: { ...services.health.readiness(), canaries: services.canaries.views() },
      };
    },
  );
  app.get(
    '/v1/why/:id',
    {
      config: { access: 'read' },
      schema: {
        summary: 'What an unfinished run waits for',
        tags,
        params: whyParams,
        querystring: noQuery,
        response: answers({ 200: whySchema }),
      },
    },
    async (request) => whyOf(services, callerOf(request).tenantId, request.params.id),
  );
}

async function whyOf(
  services: Services,
  tenantId: Parameters<Services['runStore']['summary']>[0],
  id: z.infer<typeof whyParams>['id'],
): Promise<Why> {
  const runId = runIdOf(id);
  const run = await services.runStore.summary(tenantId, runId);
  if (run === undefined) throw new HiveError('NOT_FOUND', `there is no ${id}`);
  const { blocker } = run;
  const ticket =
    blocker?.kind === 'ticket' ? (await services.tickets.ofRun(runId)).find(({ ticketId }) => ticketId === blocker.ticketId) : undefined;
  const throttledBy = ticket === undefined || ticket.workerId !== undefined ? undefined : await throttleOf(services, ticket.ticketId);
  const holders = blocker?.kind === 'concurrency' ? await services.turnStore.holders({ tenantId, key: blocker.key }, shownHolders) : [];
  return explain({
    run,
    ticket,
    throttledBy,
    holders,
    overMqtt: ticket && overMqtt(services, ticket.requirement),
    workers: services.desk.workers(),
    nowMs: services.clock.nowMs(),
  });
}

/** What lets the ticket wait; the cause of an open breaker is an agent's message. */
async function throttleOf({ throttles, redaction }: Services, ticketId: TicketId): Promise<ThrottledBy | undefined> {
  const throttledBy = await throttles.throttledBy(ticketId);
  return throttledBy !== undefined && 'cause' in throttledBy && throttledBy.cause !== undefined
    ? { ...throttledBy, cause: redaction.text(throttledBy.cause) }
    : throttledBy;
}

/** What is heard of the agent over MQTT that a ticket requires, where it requires one. */
function overMqtt({ gateway }: Services, requirement: string): AgentOverMqtt | undefined {
  const name = requirement.split(' ').find((capability) => mqttAgentIdIn(capability) !== undefined);
  if (name === undefined) return undefined;
  const broker = gateway === undefined ? 'none' : gateway.isConnected ? 'there' : 'away';
  return { name, broker, replicaCount: gateway?.agent(name)?.replicaCount ?? 0 };
}

function runIdOf(id: z.infer<typeof whyParams>['id']): RunId {
  const ticketId = ticketIdSchema.safeParse(id);
  if (ticketId.success) return runIdOfTicket(ticketId.data);
  const approvalId = approvalIdSchema.safeParse(id);
  return approvalId.success ? runIdOfApproval(approvalId.data) : runIdSchema.parse(id);
}
