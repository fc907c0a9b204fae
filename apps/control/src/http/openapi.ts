import swagger from '@fastify/swagger';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  agentSpecSchema,
  agentViewSchema,
  approvalViewSchema,
  attemptSchema,
  blockerSchema,
  deadTicketSchema,
  leasedTicketSchema,
  nodeDefinitionSchema,
  nodeWaitSchema,
  runSummarySchema,
  runViewSchema,
  statusSchema,
  whySchema,
  workerViewSchema,
  workflowDefinitionSchema,
  workflowViewSchema,
} from '@hivekeeper/contract';
import { facadeComponents } from './facade/index.ts';
import { answers, type App, errorBodySchema, noQuery } from './route.ts';

const components = {
  Agent: agentViewSchema,
  AgentSpec: agentSpecSchema,
  Approval: approvalViewSchema,
  Attempt: attemptSchema,
  Blocker: blockerSchema,
  DeadTicket: deadTicketSchema,
  Error: errorBodySchema,
  LeasedTicket: leasedTicketSchema,
  NodeDefinition: nodeDefinitionSchema,
  NodeWait: nodeWaitSchema,
  Run: runViewSchema,
  RunSummary: runSummarySchema,
  Status: statusSchema,
  Why: whySchema,
  Worker: workerViewSchema,
  Workflow: workflowViewSchema,
  WorkflowDefinition: workflowDefinitionSchema,
  ...facadeComponents,
} satisfies Record<string, z.ZodType>;

/** Describes every route that is added from now on, at `/v1/openapi.json`. */
export async function describeRoutes(app: App, version: string): Promise<void> {
  const schemaRegistry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(components)) schemaRegistry.add(schema, { id });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Hivekeeper',
        version,
        description: 'Run a fleet of AI agents, and keep it running.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: { bearer: { type: 'http', scheme: 'bearer' }, apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' } },
      },
      security: [{ bearer: [] }, { apiKey: [] }],
    },
    transform: createJsonSchemaTransform({ schemaRegistry }),
    transformObject: createJsonSchemaTransformObject({ schemaRegistry }),
  });
  addDocument(app);
}

function addDocument(app: App): void {
  app.addHook('onRoute', ({ config, schema }) => {
    if (schema !== undefined) Object.assign(schema, config?.access === 'open' ? { security: [] } : { 'x-permission': config?.access });
  });
  let document: string | undefined;
  app.get(
    '/v1/openapi.json',
    {
      config: { access: 'read' },
      schema: {
        summary: 'This document',
        tags: ['platform'],
        querystring: noQuery,
        response: answers({ 200: z.looseObject({ openapi: z.string() }) }),
      },
    },
    async (_request, reply) => {
      document ??= JSON.stringify(app.swagger());
      return reply.type('application/json; charset=utf-8').send(document as never);
    },
  );
}
