import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HiveError } from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import { healthOf, type Vitals } from './health.ts';
import type { MetricsDocument } from './metrics.ts';
import { PrometheusExport, wantsPrometheus } from './prometheus.ts';

/** What the probes ask. */
export interface ProbeSources {
  readonly vitals: () => Vitals;
  readonly isReady: () => boolean;
  readonly metrics: () => MetricsDocument;
  readonly onHealthAsked: () => void;
  readonly clock: Clock;
}

/** A server of probes. */
export interface ProbeServer extends AsyncDisposable {
  readonly port: number;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly type?: string;
}

type Sources = ProbeSources & { readonly scrapes: PrometheusExport };
type Route = (sources: Sources, request: IncomingMessage) => Answer | Promise<Answer>;

const seconds = ({ clock }: ProbeSources): number => Math.floor(clock.nowMs() / 1_000);

const routes: Readonly<Record<string, Route>> = {
  '/health': ({ vitals, onHealthAsked }) => {
    onHealthAsked();
    const body = healthOf(vitals());
    return { status: body.status === 'healthy' ? 200 : 503, body };
  },
  '/ready': (sources) => {
    const ready = sources.isReady();
    return { status: ready ? 200 : 503, body: { ready, timestamp: seconds(sources) } };
  },
  '/live': (sources) => ({ status: 200, body: { alive: true, timestamp: seconds(sources) } }),
  '/metrics': (sources, request) =>
    wantsPrometheus(request.headers.accept) ? prometheus(sources) : { status: 200, body: sources.metrics() },
  '/metrics/prometheus': (sources) => prometheus(sources),
  '/': () => ({
    status: 200,
    body: {
      endpoints: {
        '/health': 'Overall health status with detailed checks',
        '/metrics': 'Comprehensive metrics and statistics',
        '/ready': 'Readiness probe for Kubernetes',
        '/live': 'Liveness probe for Kubernetes',
      },
    },
  }),
};

async function prometheus({ metrics, scrapes }: Sources): Promise<Answer> {
  const { type, text } = await scrapes.text(metrics());
  return { status: 200, body: text, type };
}

/** Starts it. @throws HiveError PORT_IN_USE */
export async function startProbeServer(
  address: { readonly host: string; readonly port: number },
  sources: ProbeSources,
): Promise<ProbeServer> {
  const all = { ...sources, scrapes: new PrometheusExport() };
  const server = createServer((request, response) => void answer(all, request, response));
  server.listen(address.port, address.host);
  await once(server, 'listening').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE') throw new HiveError('PORT_IN_USE', `port ${address.port} of ${address.host} is in use`);
    throw error;
  });
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(sources: Sources, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://agent').pathname;
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  const { status, body, type } = await answerOf(isRead ? route : undefined, sources, request);
  response.writeHead(status, { 'content-type': type ?? 'application/json', 'cache-control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : typeof body === 'string' ? body : `${JSON.stringify(body)}\n`);
}

async function answerOf(route: Route | undefined, sources: Sources, request: IncomingMessage): Promise<Answer> {
  if (route === undefined) return { status: 404, body: { error: 'no such address; / lists those there are' } };
  try {
    return await route(sources, request);
  } catch {
    return { status: 500, body: { error: 'this cannot be told now' } };
  }
}
