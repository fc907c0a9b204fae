import type { Clock } from '@hivekeeper/kernel';

/** Where an agent's process stands. */
export type AgentState = 'initializing' | 'initialized' | 'running' | 'stopping' | 'stopped';
/** How a call of a tool ended. */
export type ToolEnd = 'done' | 'failed' | 'timedOut';

const keptSamples = 1_000;

interface ToolCounts {
  executions: number;
  failures: number;
  timeouts: number;
  totalMs: number;
  lastAtMs: number;
}

/** What an agent counts, from its start on; `snapshot` is the document of `/metrics`, field by field as 2389 agents have it. */
export class Metrics {
  readonly #clock: Clock;
  readonly #startedMs: number;
  readonly #tasks = { tasks_received: 0, tasks_processing: 0, tasks_completed: 0, tasks_failed: 0, tasks_rejected: 0 };
  readonly #mqtt = {
    ...{ connected: false, connection_attempts: 0, connections_established: 0, connection_failures: 0 },
    ...{ messages_published: 0, publish_failures: 0, messages_received: 0, last_heartbeat: 0 },
  };
  readonly #tools = new Map<string, ToolCounts>();
  readonly #durationsMs: number[] = [];
  #totalMs = 0;
  #ended = 0;
  #mostProcessing = 0;
  #connectedMs = 0;
  #state: AgentState = 'initializing';
  #transitions = 0;
  #lastTaskAtMs: number | undefined;
  #restarts = 0;
  #healthCheckedAtMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
  }

  taskReceived(): void {
    this.#tasks.tasks_received += 1;
  }

  /** Told apart from failed: nothing was done for it. */
  taskRejected(): void {
    this.#tasks.tasks_rejected += 1;
  }

  taskStarted(): void {
    this.#tasks.tasks_processing += 1;
    this.#mostProcessing = Math.max(this.#mostProcessing, this.#tasks.tasks_processing);
    this.#lastTaskAtMs = this.#clock.nowMs();
  }

  taskEnded(end: 'completed' | 'failed' | 'handedBack', durationMs: number): void {
    this.#tasks.tasks_processing -= 1;
    if (end === 'handedBack') return;
    this.#tasks[`tasks_${end}`] += 1;
    this.#lastTaskAtMs = this.#clock.nowMs();
    this.#totalMs += durationMs;
    this.#ended += 1;
    this.#durationsMs.push(durationMs);
    if (this.#durationsMs.length > keptSamples) this.#durationsMs.shift();
  }

  toolEnded(name: string, end: ToolEnd, durationMs: number): void {
    const counts = this.#tools.get(name) ?? { executions: 0, failures: 0, timeouts: 0, totalMs: 0, lastAtMs: 0 };
    this.#tools.set(name, counts);
    counts.executions += 1;
    if (end !== 'done') counts.failures += 1;
    if (end === 'timedOut') counts.timeouts += 1;
    counts.totalMs += durationMs;
    counts.lastAtMs = this.#clock.nowMs();
  }

  connecting(): void {
    this.#mqtt.connection_attempts += 1;
  }

  connected(): void {
    this.#mqtt.connected = true;
    this.#mqtt.connections_established += 1;
    this.#connectedMs = this.#clock.monotonicMs();
  }

  disconnected(wasReady: boolean): void {
    this.#mqtt.connected = false;
    if (!wasReady) this.#mqtt.connection_failures += 1;
  }

  counted(what: 'messages_published' | 'publish_failures' | 'messages_received'): void {
    this.#mqtt[what] += 1;
  }

  heartbeat(): void {
    this.#mqtt.last_heartbeat = secondsOf(this.#clock.nowMs());
  }

  /** How often this replica was started before. */
  restarted(times: number): void {
    this.#restarts = times;
  }

  healthChecked(): void {
    this.#healthCheckedAtMs = this.#clock.nowMs();
  }

  become(state: AgentState): void {
    this.#state = state;
    this.#transitions += 1;
  }

  get isConnected(): boolean {
    return this.#mqtt.connected;
  }

  get state(): AgentState {
    return this.#state;
  }

  /** When a task last began or ended; absent where none did. */
  get lastTaskAtMs(): number | undefined {
    return this.#lastTaskAtMs;
  }

  get processing(): number {
    return this.#tasks.tasks_processing;
  }

  get uptimeSeconds(): number {
    return Math.floor((this.#clock.monotonicMs() - this.#startedMs) / 1_000);
  }

  snapshot() {
    const nowMs = this.#clock.nowMs();
    const sorted = this.#durationsMs.toSorted((one, other) => one - other);
    const connectedMs = this.#mqtt.connected ? this.#clock.monotonicMs() - this.#connectedMs : 0;
    return {
      tasks: {
        ...this.#tasks,
        avg_processing_time_ms: this.#ended === 0 ? 0 : this.#totalMs / this.#ended,
        processing_time_p50_ms: percentile(sorted, 0.5),
        processing_time_p95_ms: percentile(sorted, 0.95),
        processing_time_p99_ms: percentile(sorted, 0.99),
        current_pipeline_depth: this.#tasks.tasks_processing,
        max_pipeline_depth_reached: this.#mostProcessing,
      },
      mqtt: { ...this.#mqtt, connection_duration_seconds: Math.floor(connectedMs / 1_000) },
      tools: this.#toolsDocument(),
      lifecycle: {
        current_state: this.#state,
        uptime_seconds: this.uptimeSeconds,
        state_transitions: this.#transitions,
        restarts: this.#restarts,
        healthy: this.#mqtt.connected && this.#state === 'running',
        last_health_check: secondsOf(this.#healthCheckedAtMs),
      },
      timestamp: secondsOf(nowMs),
    };
  }

  #toolsDocument() {
    const all = [...this.#tools];
    const sum = (count: (counts: ToolCounts) => number) => all.reduce((total, [, counts]) => total + count(counts), 0);
    const executions = sum((counts) => counts.executions);
    const stats = all.map(([name, counts]) => [name, toolStats(name, counts)] as const);
    return {
      tool_stats: Object.fromEntries(stats),
      total_executions: executions,
      total_failures: sum((counts) => counts.failures),
      total_timeouts: sum((counts) => counts.timeouts),
      avg_execution_time_ms: executions === 0 ? 0 : sum((counts) => counts.totalMs) / executions,
    };
  }
}

/** The document of `/metrics`. */
export type MetricsDocument = ReturnType<Metrics['snapshot']>;

const secondsOf = (atMs: number): number => Math.floor(atMs / 1_000);

const toolStats = (name: string, { executions, failures, timeouts, totalMs, lastAtMs }: ToolCounts) => ({
  ...{ name, executions, failures, timeouts },
  avg_execution_time_ms: totalMs / executions,
  last_execution: secondsOf(lastAtMs),
  success_rate: (executions - failures) / executions,
});

/** Between the two samples that are nearest to it, linearly; 0 of none. */
export function percentile(sorted: readonly number[], share: number): number {
  if (sorted.length === 0) return 0;
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)] ?? 0;
  const above = sorted[Math.ceil(at)] ?? below;
  return below + (above - below) * (at - Math.floor(at));
}
