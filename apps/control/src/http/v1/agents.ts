import {
  agentNameSchema,
  type AgentView,
  agentViewSchema,
  type RegisterAgent,
  registerAgentSchema,
  type TenantId,
} from '@hivekeeper/contract';
import { z } from 'zod';
import type { AgentRegistration, StoredAgent } from '../../records/registry/index.ts';
import { answers, type App, callerOf, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['agents'];
const access = 'admin';
const params = z.strictObject({ name: agentNameSchema });

/** Agents: registering, reading, removing. */
export function addAgents(app: App, services: Services): void {
  addReading(app, services);
  app.post(
    '/v1/agents',
    {
      config: { access },
      schema: {
        summary: 'Register an agent where it lies, or bring the registered one up to date (200)',
        tags,
        querystring: noQuery,
        body: registerAgentSchema,
        response: answers({ 200: agentViewSchema, 201: agentViewSchema }),
      },
    },
    async (request, reply) => {
      const { tenantId, subject } = callerOf(request);
      // The name may stand in the agent's manifest only, so who was there before is asked for all.
      const before = new Set((await services.agents.list(tenantId)).map(({ id }) => id));
      const agent = await services.agents.ensure({
        tenantId,
        entryPath: request.body.entryPath,
        given: givenBy(request.body),
        by: subject,
      });
      return reply.code(before.has(agent.id) ? 200 : 201).send(await viewOf(services, tenantId, agent));
    },
  );
  app.delete(
    '/v1/agents/:name',
    {
      config: { access },
      schema: {
        summary: 'Remove an agent that no workflow uses; its history stays',
        tags,
        params,
        querystring: noQuery,
        response: answers({ 204: z.null() }),
      },
    },
    async (request, reply) => {
      const { tenantId, subject } = callerOf(request);
      await services.agents.remove(tenantId, { name: request.params.name }, subject);
      return reply.code(204).send(null);
    },
  );
}

function addReading(app: App, services: Services): void {
  app.get(
    '/v1/agents',
    {
      config: { access },
      schema: { summary: 'Every agent, by name', tags, querystring: noQuery, response: answers({ 200: z.array(agentViewSchema) }) },
    },
    async (request) => {
      const { tenantId } = callerOf(request);
      return viewsOf(services, tenantId, await services.agents.list(tenantId));
    },
  );
  app.get(
    '/v1/agents/:name',
    {
      config: { access },
      schema: { summary: 'An agent', tags, params, querystring: noQuery, response: answers({ 200: agentViewSchema }) },
    },
    async (request) => {
      const { tenantId } = callerOf(request);
      return viewOf(services, tenantId, await services.agents.get(tenantId, { name: request.params.name }));
    },
  );
}

function givenBy({ entryPath: _, ...given }: RegisterAgent): AgentRegistration['given'] {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

async function viewsOf(services: Services, tenantId: TenantId, agents: readonly StoredAgent[]): Promise<AgentView[]> {
  const names = agents.map(({ name }) => name);
  const breakers = await services.breakers.views(tenantId, names);
  return agents.map(({ id, name, version, trust, riskLevel, registeredAtMs, updatedAtMs, spec }) => {
    const breaker = breakers.get(name);
    return { id, name, version, trust, riskLevel, registeredAtMs, updatedAtMs, spec, ...(breaker !== undefined && { breaker }) };
  });
}

const viewOf = async (services: Services, tenantId: TenantId, agent: StoredAgent): Promise<AgentView> =>
  (await viewsOf(services, tenantId, [agent]))[0] as AgentView;
