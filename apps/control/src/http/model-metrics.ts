import type { ModelGateway, Tallied } from '../flow/models/index.ts';

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly samples: readonly Sample[];
}

const usd = (microUsd: number): number => microUsd / 1_000_000;

/**
 * What this process's model gateway did, in the text format of Prometheus: our own names, and those that Maestro's dashboards ask for.
 * Written here because the counts are kept by the gateway, and a library's counters would keep them again.
 */
export function modelMetrics(gateway: Pick<ModelGateway, 'models' | 'tallied'>): string {
  const rows = gateway.tallied();
  const wellness = gateway.models().map(({ id, isWell }) => ({ id, value: isWell ? 1 : 0 }));
  const failures = rows.filter(({ outcome }) => outcome === 'failed' || outcome === 'cut');
  const ofModel = (value: (row: Tallied) => number) => summed(rows, ({ model }) => ({ model }), value);
  const cost = ofModel((row) => usd(row.costMicroUsd));
  const families: Family[] = [
    counter(
      'hive_model_calls_total',
      'Calls of models that are over',
      summed(rows, ({ model, dialect, outcome }) => ({ model, dialect, outcome }), callsOf),
    ),
    counter(
      'hive_model_input_tokens_total',
      'Tokens sent to models',
      ofModel((row) => row.inputTokens),
    ),
    counter(
      'hive_model_output_tokens_total',
      'Tokens that models wrote',
      ofModel((row) => row.outputTokens),
    ),
    counter('hive_model_cost_usd_total', 'What calls of models cost, in dollars; models without a price are not in it', cost),
    gauge(
      'hive_model_well',
      '1 while the model is asked as usual, 0 while it rests',
      wellness.map(({ id, value }) => ({ labels: { model: id }, value })),
    ),
    counter(
      'maestro_ai_model_requests_total',
      'As hive_model_calls_total',
      summed(rows, ({ model, dialect, outcome }) => ({ model, operation: dialect, status: outcome }), callsOf),
    ),
    counter(
      'maestro_ai_model_errors_total',
      'Calls that failed or were cut',
      summed(failures, ({ model }) => ({ model }), callsOf),
    ),
    counter('maestro_ai_model_cost_usd', 'As hive_model_cost_usd_total', cost),
    counter('maestro_total_cost', 'The sum of it', [{ labels: {}, value: rows.reduce((sum, row) => sum + usd(row.costMicroUsd), 0) }]),
    counter('maestro_premium_model_usage', 'Calls by model', ofModel(callsOf)),
    gauge(
      'maestro_model_availability',
      'As hive_model_well',
      wellness.map(({ id, value }) => ({ labels: { model_id: id }, value })),
    ),
    gauge('maestro_external_api_response_time', 'Mean milliseconds of a call, by provider', meanLatencies(rows)),
  ];
  return families.map(textOf).join('');
}

const callsOf = (row: Tallied): number => row.calls;
const counter = (name: string, help: string, samples: readonly Sample[]): Family => ({ name, help, type: 'counter', samples });
const gauge = (name: string, help: string, samples: readonly Sample[]): Family => ({ name, help, type: 'gauge', samples });

function summed(rows: readonly Tallied[], labelsOf: (row: Tallied) => Sample['labels'], value: (row: Tallied) => number): Sample[] {
  const sums = new Map<string, Sample>();
  for (const row of rows) {
    const labels = labelsOf(row);
    const key = JSON.stringify(labels);
    sums.set(key, { labels, value: (sums.get(key)?.value ?? 0) + value(row) });
  }
  return [...sums.values()];
}

function meanLatencies(rows: readonly Tallied[]): Sample[] {
  const byProvider = ({ provider }: Tallied) => ({ provider });
  const calls = summed(rows, byProvider, callsOf);
  return summed(rows, byProvider, (row) => row.latencyMs).map(({ labels, value }, index) => ({
    labels,
    value: value / (calls[index]?.value ?? 1),
  }));
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

function textOf({ name, help, type, samples }: Family): string {
  const lines = samples.map(({ labels, value }) => {
    const told = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    return `${name}${told.length === 0 ? '' : `{${told.join(',')}}`} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}
