import { FakeClock } from '@hivekeeper/testkit';
import { describe, expect, it } from 'vitest';
import { newAgentLog } from './agent-log.ts';
import { healthOf, type Vitals } from './health.ts';
import { Metrics, percentile } from './metrics.ts';
import { PrometheusExport, wantsPrometheus } from './prometheus.ts';

describe('metrics', () => {
  it('count tasks, their times and the most at once', async () => {
    const clock = new FakeClock();
    const metrics = new Metrics(clock);
    for (let task = 0; task < 3; task += 1) metrics.taskReceived();
    metrics.taskStarted();
    metrics.taskStarted();
    await clock.advance(10);
    metrics.taskEnded('completed', 100);
    metrics.taskEnded('failed', 300);
    metrics.taskRejected();
    expect(metrics.snapshot().tasks).toEqual({
      ...{ tasks_received: 3, tasks_processing: 0, tasks_completed: 1, tasks_failed: 1, tasks_rejected: 1 },
      ...{ avg_processing_time_ms: 200, processing_time_p50_ms: 200, processing_time_p95_ms: 290, processing_time_p99_ms: 298 },
      ...{ current_pipeline_depth: 0, max_pipeline_depth_reached: 2 },
    });
  });

  it('tell how often the agent was started before, and when its health was last asked for', () => {
    const metrics = new Metrics(new FakeClock(9_000));
    metrics.restarted(2);
    metrics.healthChecked();
    metrics.become('running');
    expect(metrics.snapshot().lifecycle).toMatchObject({
      restarts: 2,
      last_health_check: 9,
      current_state: 'running',
      state_transitions: 1,
    });
  });

  it('count each tool', () => {
    const metrics = new Metrics(new FakeClock(5_000));
    metrics.toolEnded('a', 'done', 10);
    metrics.toolEnded('a', 'timedOut', 30);
    metrics.toolEnded('b', 'failed', 20);
    const { tools } = metrics.snapshot();
    const a = { name: 'a', executions: 2, failures: 1, timeouts: 1, avg_execution_time_ms: 20, last_execution: 5, success_rate: 0.5 };
    expect(tools.tool_stats['a']).toEqual(a);
    expect(tools).toMatchObject({ total_executions: 3, total_failures: 2, total_timeouts: 1, avg_execution_time_ms: 20 });
  });

  it('say since when there is a connection, and how often there was none', async () => {
    const clock = new FakeClock();
    const metrics = new Metrics(clock);
    metrics.connecting();
    metrics.disconnected(false);
    metrics.connecting();
    metrics.connected();
    await clock.advance(4_200);
    expect(metrics.snapshot().mqtt).toMatchObject({
      ...{ connected: true, connection_attempts: 2, connections_established: 1, connection_failures: 1, connection_duration_seconds: 4 },
    });
  });

  it.each([
    [[], 0.95, 0],
    [[7], 0.95, 7],
    [[1, 2, 3, 4], 0.5, 2.5],
  ])('interpolate percentiles: of %j at %d it is %d', (sorted, share, value) => {
    expect(percentile(sorted, share)).toBe(value);
  });

  it('are text for a scraper and JSON for everybody else', () => {
    expect(wantsPrometheus('application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1')).toBe(true);
    expect(wantsPrometheus('text/plain;version=0.0.4')).toBe(true);
    for (const other of ['*/*', 'text/html,application/xhtml+xml,*/*', 'application/json', undefined])
      expect(wantsPrometheus(other)).toBe(false);
  });

  it('have the series that the runbook’s alert rules name', async () => {
    const metrics = new Metrics(new FakeClock());
    metrics.taskReceived();
    metrics.toolEnded('a', 'done', 1);
    const { text } = await new PrometheusExport().text(metrics.snapshot());
    for (const line of [
      'agent2389_tasks_received 1',
      'agent2389_tasks_failed 0',
      'agent2389_mqtt_connected 0',
      'agent2389_processing_time_p95_ms 0',
      'agent2389_tool_executions{tool="a"} 1',
      '# TYPE agent2389_tasks_failed counter',
    ])
      expect(text.split('\n')).toContain(line);
    expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
  });
});

describe('health', () => {
  const vitals: Vitals = {
    agentId: 'a',
    nowMs: 1_000_000,
    uptimeSeconds: 9,
    isConnected: true,
    lastTaskAtMs: undefined,
    unfinishedTasks: 0,
  };

  it('has the fields of a 2389 agent', () => {
    const check = (message: string) => ({ status: 'healthy', message, last_check: 1_000 });
    expect(healthOf(vitals)).toEqual({
      ...{ status: 'healthy', timestamp: 1_000, agent_id: 'a', uptime_seconds: 9 },
      checks: { mqtt: check('MQTT connection established'), task_processing: check('No tasks processed yet - agent ready') },
    });
  });

  it.each<readonly [string, Partial<Vitals>, readonly [string, string]]>([
    ['the broker is away', { isConnected: false }, ['degraded', 'healthy']],
    ['a task was done just now', { lastTaskAtMs: 900_000 }, ['healthy', 'healthy']],
    ['nobody asked for long', { lastTaskAtMs: 600_000 }, ['healthy', 'stale']],
    ['tasks wait and nothing moves', { lastTaskAtMs: 600_000, unfinishedTasks: 1 }, ['degraded', 'stale']],
    ['nothing can be stored', { fault: 'disk full' }, ['degraded', 'unhealthy']],
  ])('where %s', (_what, change, judged) => {
    const health = healthOf({ ...vitals, ...change });
    expect([health.status, health.checks.task_processing.status]).toEqual(judged);
  });
});

describe('the log of an agent', () => {
  const lines = (format: 'json' | 'compact', level: 'INFO' | 'ERROR' = 'INFO') => {
    const written: string[] = [];
    return { written, log: newAgentLog({ level, format, clock: new FakeClock(0), write: (line) => written.push(line) }) };
  };

  it('has the paths that the runbook’s queries look at', () => {
    const { written, log } = lines('json');
    log.of('task').within({ name: 'task_processing', task_id: 't' }).info('Task completed', { duration_ms: 6_000 });
    const span = { name: 'task_processing', task_id: 't' };
    expect(JSON.parse(written[0] ?? '')).toEqual({
      ...{ timestamp: '1970-01-01T00:00:00.000Z', level: 'INFO', target: 'agent2389::task', span, spans: [span] },
      fields: { message: 'Task completed', duration_ms: 6_000 },
    });
  });

  it('writes no secret and nothing below its level', () => {
    const { written, log } = lines('compact', 'ERROR');
    log.warn('not this');
    log.error('this', { password: 'p', api_key: 'k', reason: 'r' });
    expect(written).toEqual(['ERROR this password="[redacted]" api_key="[redacted]" reason="r"\n']);
  });
});
