/** What health is judged by. Moments are milliseconds since 1970. */
export interface Vitals {
  readonly agentId: string;
  readonly nowMs: number;
  readonly uptimeSeconds: number;
  readonly isConnected: boolean;
  /** Absent where no task ever was. */
  readonly lastTaskAtMs: number | undefined;
  /** Tasks that wait or are under way. */
  readonly unfinishedTasks: number;
  /** Why nothing can be stored; absent where it can. */
  readonly fault?: string;
}

const staleAfterMs = 300_000;

type CheckStatus = 'healthy' | 'unhealthy' | 'stale';

/**
 * The document of `/health`. Silence is stale after five minutes, as the runbook looks for; the agent is degraded by it only
 * where tasks wait, because one that nobody asks is well.
 */
export function healthOf(vitals: Vitals) {
  const { agentId, nowMs, uptimeSeconds, isConnected, lastTaskAtMs, unfinishedTasks, fault } = vitals;
  const idleMs = lastTaskAtMs === undefined ? undefined : nowMs - lastTaskAtMs;
  const check = (status: CheckStatus, message: string) => ({ status, message, last_check: secondsOf(nowMs) });
  const mqtt = isConnected ? check('healthy', 'MQTT connection established') : check('unhealthy', 'MQTT connection failed or disconnected');
  const tasks = taskCheck(idleMs, fault);
  const isHung = tasks.status === 'stale' && unfinishedTasks > 0;
  return {
    status: isConnected && fault === undefined && !isHung ? ('healthy' as const) : ('degraded' as const),
    timestamp: secondsOf(nowMs),
    agent_id: agentId,
    uptime_seconds: uptimeSeconds,
    checks: { mqtt, task_processing: check(tasks.status, tasks.message) },
  };
}

function taskCheck(idleMs: number | undefined, fault: string | undefined): { readonly status: CheckStatus; readonly message: string } {
  if (fault !== undefined) return { status: 'unhealthy', message: fault };
  if (idleMs === undefined) return { status: 'healthy', message: 'No tasks processed yet - agent ready' };
  if (idleMs <= staleAfterMs) return { status: 'healthy', message: 'Recent task activity' };
  return { status: 'stale', message: `No task activity for ${secondsOf(idleMs)} seconds` };
}

const secondsOf = (ms: number): number => Math.floor(ms / 1_000);
