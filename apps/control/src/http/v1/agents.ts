import {
  agentNameSchema,
  type AgentVersions,
  agentVersionsSchema,
  type AgentView,
  agentViewSchema,
  HiveError,
  type ListedAgent,
  listedAgentSchema,
  mqttAgentIdIn,
  type RegisterAgent,
  registerAgentSchema,
  rolloutSchema,
  type TenantId,
} from '@hivekeeper/contract';
import { z } from 'zod';
import type { AgentRegistration, StoredAgent } from '../../records/registry/index.ts';
import { answers, type App, callerOf, noQuery } from '../route.ts';
import type { Services } from '../services.ts';

const tags = ['agents'];
const params = z.strictObject({ name: agentNameSchema });

/** Agents: registering, reading, removing. */
export function addAgents(app: App, services: Services): void {
  addReading(app, services);
  addVersions(app, services);
  app.post(
    '/v1/agents',
    {
      config: { access: 'administer' },
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
      config: { access: 'administer' },
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
      config: { access: 'read' },
      schema: {
        summary: 'Every registered agent, by name, then those over MQTT',
        tags,
        querystring: noQuery,
        response: answers({ 200: z.array(listedAgentSchema) }),
      },
    },
    async (request) => {
      const { tenantId } = callerOf(request);
      const registered = await viewsOf(services, tenantId, await services.agents.list(tenantId));
      return [...registered, ...(services.gateway?.agents() ?? [])];
    },
  );
  app.get(
    '/v1/agents/:name',
    {
      config: { access: 'read' },
      schema: { summary: 'An agent', tags, params, querystring: noQuery, response: answers({ 200: listedAgentSchema }) },
    },
    async (request) => {
      const { tenantId } = callerOf(request);
      const { name } = request.params;
      if (mqttAgentIdIn(name) !== undefined) return overMqtt(services, name);
      return viewOf(services, tenantId, await services.agents.get(tenantId, { name }));
    },
  );
}

/** What new runs get of an agent. */
function addVersions(app: App, { agents, clock }: Services): void {
  const shown = { tags, params, querystring: noQuery };
  app.get(
    '/v1/agents/:name/rollout',
    {
      config: { access: 'read' },
      schema: {
        ...shown,
        summary: 'The versions of an agent, and how new runs are shared among them',
        response: answers({ 200: agentVersionsSchema }),
      },
    },
    async (request) => versionsOf(await agents.get(callerOf(request).tenantId, { name: request.params.name })),
  );
  app.post(
    '/v1/agents/:name/versions',
    {
      config: { access: 'administer' },
      schema: {
        ...shown,
        summary: 'Keep another version of an agent beside the current one; no run gets it before a rollout',
        body: registerAgentSchema,
        response: answers({ 200: agentVersionsSchema }),
      },
    },
    async (request) => {
      const { tenantId, subject } = callerOf(request);
      const { entryPath } = request.body;
      const registration = { tenantId, name: request.params.name, entryPath, given: givenBy(request.body), by: subject };
      return versionsOf(await agents.addVersion(registration));
    },
  );
  app.put(
    '/v1/agents/:name/rollout',
    {
      config: { access: 'administer' },
      schema: {
        ...shown,
        summary: 'Share new runs among versions of an agent, from a second on',
        body: rolloutSchema,
        response: answers({ 200: agentVersionsSchema }),
      },
    },
    async (request) => {
      const { tenantId, subject } = callerOf(request);
      const { weights } = request.body;
      return versionsOf(await agents.rollOut({ tenantId, name: request.params.name, weights, nowMs: clock.nowMs(), by: subject }));
    },
  );
}

function versionsOf({ name, spec, versions, rollouts }: StoredAgent): AgentVersions {
  const weights = rollouts.at(-1)?.weights ?? {};
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
  const shareOf = (version: string) => (total === 0 ? Number(version === spec.version) : (weights[version] ?? 0) / total);
  const all = Object.entries({ ...versions, [spec.version]: spec });
  return {
    name,
    currentVersion: spec.version,
    versions: all.map(([version, { directory, trust }]) => ({
      version,
      trust,
      shareRatio: shareOf(version),
      ...(directory !== undefined && { directory }),
    })),
    rollouts: rollouts.toReversed().map((rollout) => ({ ...rollout })),
  };
}

function overMqtt({ gateway }: Services, name: string): ListedAgent {
  const agent = gateway?.agent(name);
  if (agent === undefined) throw new HiveError('NOT_FOUND', `${name} was not heard${gateway === undefined ? ': MQTT_URL is not set' : ''}`);
  return agent;
}

function givenBy({ entryPath: _, ...given }: RegisterAgent): AgentRegistration['given'] {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

async function viewsOf(services: Services, tenantId: TenantId, agents: readonly StoredAgent[]): Promise<AgentView[]> {
  const listed = await services.breakers.list(tenantId, agents);
  const breakers = new Map(
    listed.flatMap(({ kind, name, agents: _, cause: __, ...breaker }) => (kind === 'agent' ? [[name, breaker] as const] : [])),
  );
  return agents.map(({ id, name, version, trust, riskLevel, registeredAtMs, updatedAtMs, spec }) => {
    const breaker = breakers.get(name);
    return { id, name, version, trust, riskLevel, registeredAtMs, updatedAtMs, spec, ...(breaker !== undefined && { breaker }) };
  });
}

const viewOf = async (services: Services, tenantId: TenantId, agent: StoredAgent): Promise<AgentView> =>
  (await viewsOf(services, tenantId, [agent]))[0] as AgentView;
