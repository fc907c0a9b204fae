import type { Socket } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { guard } from './access.ts';
import { addApprovalPage } from './approval-page/index.ts';
import { addFacade, isFacadeAddress } from './facade/index.ts';
import { answerFault, answerNoHttp } from './faults.ts';
import { readJson, validatorCompiler } from './json.ts';
import { addLandingPage } from './landing.ts';
import { addMetrics } from './metrics.ts';
import { describeRoutes } from './openapi.ts';
import { addProbes } from './probes.ts';
import { limitRates } from './rate-limits.ts';
import { collectRoutes, type RouteTable } from './route-table.ts';
import { apiHeaders } from './security-headers.ts';
import type { Services } from './services.ts';
import {
  addAgents,
  addApprovals,
  addBackups,
  addBulkOrders,
  addBreakers,
  addKeys,
  addCallbacks,
  addDeadTickets,
  addEffects,
  addEvents,
  addHealth,
  addInstallation,
  addBudgets,
  addModelCalls,
  addModels,
  addRegistry,
  addRegistryStream,
  addReruns,
  addRunOrders,
  addRuns,
  addRunStream,
  addSchedules,
  addWorkerCalls,
  addWorkerLedger,
  addWorkflows,
  OpenEnds,
} from './v1/index.ts';

const bodyLimitBytes = 1024 * 1024;
/** As CommandCenter has it. */
const facadeBodyLimitBytes = 10 * 1024 * 1024;
// To send a request in, headers and body: no caller of ours is so slow, and a slow one must not hold a connection for ever.
const requestTimeoutMs = 120_000;
const requestIdPattern = /^[A-Za-z0-9._-]{1,100}$/;

declare module 'fastify' {
  interface FastifyInstance {
    /** Every route, as data. */
    readonly routeTable: RouteTable;
  }
}

/** The front door, ready to listen. Stops waiting calls when it closes. */
export async function createServer(services: Services): Promise<FastifyInstance> {
  const app = bareServer(services).withTypeProvider<ZodTypeProvider>();
  app.addHook('onRoute', (route) => {
    if (isFacadeAddress(route.url)) route.bodyLimit ??= facadeBodyLimitBytes;
  });
  const routes = collectRoutes(app, bodyLimitBytes);
  app.decorate('routeTable', routes);
  if (services.rates !== undefined) await limitRates(app, services.rates);
  guard(app, services, routes);
  readJson(app);
  app.setErrorHandler((error, _request, reply) => answerFault(error, reply, services.log));
  const openEnds = new OpenEnds();
  const silent = silentSockets(app.server);
  app.addHook('preClose', (done) => {
    openEnds.end();
    for (const socket of silent) socket.destroy();
    done();
  });
  // A connection that stayed open after its last answer would hold up the closing.
  app.addHook('onSend', async (_request, reply) => {
    if (openEnds.isEnding) void reply.header('connection', 'close');
  });
  await describeRoutes(app, services.version);
  addMetrics(app, services);
  addProbes(app, services);
  addLandingPage(app, services);
  const about = [
    addWorkflows,
    addRuns,
    addRunOrders,
    addReruns,
    addBulkOrders,
    addAgents,
    addApprovals,
    addBreakers,
    addKeys,
    addCallbacks,
    addDeadTickets,
    addEffects,
    addSchedules,
    addEvents,
    addRegistry,
    addInstallation,
    addHealth,
    addModelCalls,
    addBudgets,
  ];
  for (const add of [...about, addBackups, addApprovalPage, addFacade, addWorkerLedger]) add(app, services);
  addRunStream(app, services, openEnds);
  addRegistryStream(app, services, openEnds);
  addWorkerCalls(app, services, openEnds);
  addModels(app, services, openEnds);
  await app.ready();
  return app as unknown as FastifyInstance;
}

function bareServer(services: Services) {
  let requestCount = 0;
  const app = Fastify({
    logger: false,
    bodyLimit: bodyLimitBytes,
    requestTimeout: requestTimeoutMs,
    routerOptions: { maxParamLength: 500 },
    genReqId: ({ headers }) => {
      const given = headers['x-request-id'];
      if (typeof given === 'string' && requestIdPattern.test(given)) return given;
      requestCount += 1;
      return `req-${services.startedAtMs.toString(36)}-${requestCount.toString(36)}`;
    },
    // Errors of the router itself: no hook has seen the request.
    frameworkErrors: (error, _request, reply) => void answerFault(error, reply, services.log),
    clientErrorHandler: answerNoHttp,
  });
  app.setValidatorCompiler(validatorCompiler);
  // Answers are built from typed values, and tests hold them against their schemas: checking each again would cost, and
  // the schemas' transforms cannot be run backwards.
  app.setSerializerCompiler(() => JSON.stringify);
  app.addHook('onRequest', (request, reply, done) => {
    void reply.headers(apiHeaders).header('x-request-id', request.id);
    done();
  });
  return app;
}

/** Connections that never sent a request: Node's close would wait for them until they time out. */
function silentSockets(server: FastifyInstance['server']): ReadonlySet<Socket> {
  const silent = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  server.on('request', ({ socket }) => void silent.delete(socket));
  return silent;
}
