import type { AgentId, TenantId } from '@hivekeeper/contract';
import { z } from 'zod';
import type { AgentRegistration, StoredAgent } from '../../records/registry/index.ts';
import { type App, callerOf } from '../route.ts';
import type { Services } from '../services.ts';
import { renamed } from './renamed.ts';
import { agentRowOf } from './rows.ts';
import {
  agentRowSchema,
  agentsQuerySchema,
  changeAgentSchema,
  type CreateAgent,
  createAgentSchema,
  facadeAnswers,
  idParams,
} from './schemas.ts';

const tags = ['CommandCenter: agents'];

/** `/api/agents`. */
export function addFacadeAgents(app: App, services: Services): void {
  app.post(
    '/api/agents',
    {
      config: { access: 'administer' },
      schema: { summary: 'Register an agent', tags, body: createAgentSchema, response: facadeAnswers({ 201: agentRowSchema }) },
    },
    async (request, reply) => {
      const { tenantId, subject } = callerOf(request);
      const agent = await renamed(services.agents.register({ tenantId, ...registrationOf(request.body), by: subject }), {
        ALREADY_EXISTS: 'Agent with this name already exists for this project',
      });
      return reply.code(201).send(agentRowOf(agent));
    },
  );
  app.get(
    '/api/agents',
    {
      config: { access: 'read' },
      schema: {
        summary: 'The agents of a project, by name',
        tags,
        querystring: agentsQuerySchema,
        response: facadeAnswers({ 200: z.array(agentRowSchema) }),
      },
    },
    async (request) =>
      (await services.agents.list(callerOf(request).tenantId, request.query.projectId))
        .map(agentRowOf)
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
  );
  app.get(
    '/api/agents/:id',
    {
      config: { access: 'read' },
      schema: { summary: 'An agent', tags, params: idParams, response: facadeAnswers({ 200: agentRowSchema }) },
    },
    async (request) => agentRowOf(await agentOf(services, callerOf(request).tenantId, request.params.id)),
  );
  addChanges(app, services);
}

function addChanges(app: App, services: Services): void {
  app.put(
    '/api/agents/:id',
    {
      config: { access: 'administer' },
      schema: {
        summary: 'Change an agent',
        tags,
        params: idParams,
        body: changeAgentSchema,
        response: facadeAnswers({ 200: agentRowSchema }),
      },
    },
    async (request) => {
      const { tenantId, subject } = callerOf(request);
      const { entryPath, description, version, riskLevel } = request.body;
      const known = await agentOf(services, tenantId, request.params.id);
      const { type, entryPath: knownPath } = agentRowOf(known);
      const given = {
        ...(typeof description === 'string' && { description }),
        ...(version !== undefined && { version }),
        ...(riskLevel !== undefined && { riskLevel }),
      };
      return agentRowOf(
        await services.agents.update({
          tenantId,
          id: known.id,
          entryPath,
          given,
          facade: { type, entryPath: entryPath ?? knownPath },
          by: subject,
        }),
      );
    },
  );
  app.delete(
    '/api/agents/:id',
    {
      config: { access: 'administer' },
      schema: {
        summary: 'Remove an agent that no workflow uses; its history stays',
        tags,
        params: idParams,
        response: facadeAnswers({ 204: z.null() }),
      },
    },
    async (request, reply) => {
      const { tenantId, subject } = callerOf(request);
      const { id } = await agentOf(services, tenantId, request.params.id);
      await services.agents.remove(tenantId, { id }, subject);
      return reply.code(204).send(null);
    },
  );
}

const agentOf = (services: Services, tenantId: TenantId, id: string): Promise<StoredAgent> =>
  renamed(services.agents.get(tenantId, { id: id as AgentId }), { NOT_FOUND: 'Agent not found' });

function registrationOf({
  projectId,
  entryPath,
  type,
  name,
  version,
  riskLevel,
  description,
  capabilities,
}: CreateAgent): Pick<AgentRegistration, 'projectId' | 'entryPath' | 'facade' | 'given'> {
  return {
    projectId,
    entryPath,
    facade: { type, entryPath },
    given: {
      name,
      version,
      riskLevel,
      // There such an agent's run was a success, and nobody learned that the alert was not delivered.
      successFalseFails: true,
      ...(typeof description === 'string' && { description }),
      ...(capabilities !== undefined && {
        capabilities: capabilities.map(({ description: text, ...capability }) => ({
          ...capability,
          ...(typeof text === 'string' && { description: text }),
        })),
      }),
    },
  };
}
