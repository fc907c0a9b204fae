import type { Registry } from 'prom-client';
import type { MetricsDocument } from './metrics.ts';

/** True where the caller is a scraper: it names a text format before anything else, which neither curl nor a browser does. */
export const wantsPrometheus = (accept: string | undefined): boolean =>
  /^\s*(application\/openmetrics-text|text\/plain\s*;[^,]*version=)/i.test(accept ?? '');

const counters: ReadonlySet<string> = new Set([
  ...['tasks_received', 'tasks_completed', 'tasks_failed', 'tasks_rejected', 'state_transitions'],
  ...['connection_attempts', 'connections_established', 'connection_failures'],
  ...['messages_published', 'publish_failures', 'messages_received'],
]);
const toolCounters = ['executions', 'failures', 'timeouts'] as const;

type Prometheus = typeof import('prom-client');

/** The counts of `/metrics` as series `agent2389_…`, which the runbook's alert rules name, and those of the process. */
export class PrometheusExport {
  #loading: Promise<{ readonly prometheus: Prometheus; readonly registry: Registry }> | undefined;

  /** The text of a scrape. */
  async text(document: MetricsDocument): Promise<{ readonly type: string; readonly text: string }> {
    // Loading the library takes some 60 ms, which an agent that nobody scrapes never spends.
    const { prometheus, registry } = await (this.#loading ??= load());
    const counts = new prometheus.Registry();
    const registers = [counts];
    for (const { name, isCounter, value } of seriesOf(document)) {
      const definition = { name: `agent2389_${name}`, help: `${name} of /metrics`, registers };
      if (isCounter) new prometheus.Counter(definition).inc(value);
      else new prometheus.Gauge(definition).set(value);
    }
    for (const field of toolCounters) {
      const name = `agent2389_tool_${field}`;
      const counter = new prometheus.Counter({ name, help: `${field} of a tool`, labelNames: ['tool'], registers });
      for (const tool of Object.values(document.tools.tool_stats)) counter.inc({ tool: tool.name }, tool[field]);
    }
    return { type: registry.contentType, text: `${await counts.metrics()}\n${await registry.metrics()}` };
  }
}

async function load() {
  const prometheus = await import('prom-client');
  const registry = new prometheus.Registry();
  prometheus.collectDefaultMetrics({ register: registry });
  return { prometheus, registry };
}

function seriesOf({ tasks, mqtt, lifecycle }: MetricsDocument) {
  const sections = [
    { prefix: '', values: tasks },
    { prefix: 'mqtt_', values: mqtt },
    { prefix: '', values: lifecycle },
  ];
  return sections.flatMap(({ prefix, values }) =>
    Object.entries(values)
      .filter(([, value]) => typeof value !== 'string')
      .map(([field, value]) => ({ name: `${prefix}${field}`, isCounter: counters.has(field), value: Number(value) })),
  );
}
