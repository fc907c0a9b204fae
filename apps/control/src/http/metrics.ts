import type { ListedBreaker } from '@hivekeeper/contract';
import type { Registry } from 'prom-client';
import { overdueAfterMs } from '../flow/runs/index.ts';
import { modelMetrics } from './model-metrics.ts';
import { answers, type App, callerOf, noQuery, textAnswer } from './route.ts';
import type { Services } from './services.ts';

type Prometheus = typeof import('prom-client');

const durationBucketsSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** Measures every request, and answers Prometheus at `/metrics`. */
export function addMetrics(app: App, services: Services): void {
  let gauges: Gauges | undefined;
  let loading: Promise<Gauges> | undefined;
  // The library takes some 60 ms to load, so it is loaded when the server listens already; requests before that are not counted.
  const load = () => (loading ??= import('prom-client').then((prometheus) => (gauges = new Gauges(prometheus))));
  app.addHook('onListen', (done) => {
    void load();
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    gauges?.observe(
      { route: request.routeOptions.url ?? 'unknown', method: request.method, status: reply.statusCode },
      reply.elapsedTime / 1_000,
    );
    done();
  });
  app.get(
    '/metrics',
    {
      config: { access: 'read' },
      schema: {
        summary: 'Prometheus metrics',
        tags: ['platform'],
        querystring: noQuery,
        response: answers({ 200: textAnswer('text/plain', 'Prometheus text format') }),
      },
    },
    async (request, reply) => {
      const loaded = await load();
      const { tenantId } = callerOf(request);
      const { census, desk } = services;
      const overdueMs = overdueAfterMs(desk.leaseMs);
      const [runs, stuck, tickets] = await Promise.all([
        census.counts(tenantId),
        census.stuck(tenantId, overdueMs),
        services.tickets.counts(),
      ]);
      const breakers = await services.breakers.list(tenantId, await services.agents.list(tenantId));
      const workers = countBy(desk.workers().map(({ state }) => state));
      const totals = { accepted: runs.accepted, stuck: stuck.length, ready: services.health.readiness().ready ? 1 : 0 };
      const counts = { runs: runs.byStatus, tickets: { ...tickets }, workers, ...breakerGauges(breakers), ...canaryGauges(services) };
      const text = await loaded.report(counts, totals);
      const ofModels = services.models === undefined ? '' : modelMetrics(services.models);
      return reply.type(loaded.registry.contentType).send(`${text}\n${ofModels}` as never);
    },
  );
}

interface Request {
  readonly route: string;
  readonly method: string;
  readonly status: number;
}

const counted = ['runs', 'tickets', 'workers', 'openBreakers', 'downDependencies', 'canaryAgeSeconds', 'canaryLatencySeconds'] as const;
type Counted = (typeof counted)[number];

const totalled = ['accepted', 'stuck', 'ready'] as const;
type Totalled = (typeof totalled)[number];

/** 1 for each that is not closed. */
function breakerGauges(
  breakers: readonly ListedBreaker[],
): Pick<Record<Counted, Record<string, number>>, 'openBreakers' | 'downDependencies'> {
  const of = (wanted: ListedBreaker['kind']) =>
    Object.fromEntries(breakers.flatMap(({ kind, name, state }) => (kind === wanted ? [[name, state === 'closed' ? 0 : 1]] : [])));
  return { openBreakers: of('agent'), downDependencies: of('dependency') };
}

/** Of every queue through which a canary came. */
function canaryGauges({
  canaries,
  clock,
}: Services): Readonly<Record<'canaryAgeSeconds' | 'canaryLatencySeconds', Record<string, number>>> {
  const came = canaries
    .views()
    .flatMap(({ queue, endedAtMs, latencyMs }) =>
      endedAtMs === undefined || latencyMs === undefined ? [] : [{ queue, ageMs: clock.nowMs() - endedAtMs, latencyMs }],
    );
  return {
    canaryAgeSeconds: Object.fromEntries(came.map(({ queue, ageMs }) => [queue, ageMs / 1_000])),
    canaryLatencySeconds: Object.fromEntries(came.map(({ queue, latencyMs }) => [queue, latencyMs / 1_000])),
  };
}

class Gauges {
  readonly registry: Registry;
  readonly #duration;
  readonly #children = new Map<string, { observe(seconds: number): void }>();
  readonly #totals: Readonly<Record<Totalled, InstanceType<Prometheus['Gauge']>>>;
  readonly #counted: Readonly<Record<Counted, { readonly label: string; readonly gauge: InstanceType<Prometheus['Gauge']> }>>;

  constructor(prometheus: Prometheus) {
    const registry = new prometheus.Registry();
    const registers = [registry];
    this.registry = registry;
    prometheus.collectDefaultMetrics({ register: registry });
    this.#duration = new prometheus.Histogram({
      name: 'http_request_duration_seconds',
      help: 'From the request’s headers to the answer’s last byte; long polls and event streams last as long as they wait',
      labelNames: ['route', 'method', 'status'],
      buckets: durationBucketsSeconds,
      registers,
    });
    const gauge = (name: string, help: string, label: string) => ({
      label,
      gauge: new prometheus.Gauge({ name, help, labelNames: [label], registers }),
    });
    this.#counted = {
      runs: gauge('hive_runs', 'Runs of the caller’s tenant by status', 'status'),
      tickets: gauge('hive_tickets', 'Live tickets by state', 'state'),
      workers: gauge('hive_workers', 'Workers at this control plane by state', 'state'),
      openBreakers: gauge('hive_breaker_open', '1 while the breaker of the agent is open or half-open, else 0', 'agent'),
      downDependencies: gauge('hive_dependency_down', '1 while the breaker of the dependency is open or half-open, else 0', 'dependency'),
      canaryAgeSeconds: gauge('hive_canary_age_seconds', 'Since a worker last settled a canary of the queue', 'queue'),
      canaryLatencySeconds: gauge('hive_canary_latency_seconds', 'From the trigger of that canary to its end', 'queue'),
    };
    const total = (name: string, help: string) => new prometheus.Gauge({ name, help, registers });
    this.#totals = {
      accepted: total('hive_runs_accepted', 'Runs of the caller’s tenant ever accepted; equals the sum of hive_runs'),
      stuck: total('hive_stuck_runs', 'Unfinished runs of the caller’s tenant that nothing moves, at most 100; must be 0'),
      ready: total('hive_ready', '1 while work moves here, else 0; a database that takes no write shows in /ready'),
    };
  }

  observe(request: Request, seconds: number): void {
    const key = `${request.method} ${request.status} ${request.route}`;
    let child = this.#children.get(key);
    if (child === undefined) {
      child = this.#duration.labels({ ...request });
      this.#children.set(key, child);
    }
    child.observe(seconds);
  }

  /** The text of a scrape; what is counted elsewhere is as it is now. */
  report(counts: Readonly<Record<Counted, Readonly<Record<string, number>>>>, totals: Readonly<Record<Totalled, number>>): Promise<string> {
    for (const what of totalled) this.#totals[what].set(totals[what]);
    for (const what of counted) {
      const { gauge, label } = this.#counted[what];
      gauge.reset();
      for (const [value, count] of Object.entries(counts[what])) gauge.set({ [label]: value }, count);
    }
    return this.registry.metrics();
  }
}

function countBy(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
