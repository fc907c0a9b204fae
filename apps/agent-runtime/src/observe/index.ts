/**
 * What others see of an agent: agent-log.ts lines · metrics.ts counts · health.ts a judgement · prometheus.ts series ·
 * probe-server.ts all of it over HTTP.
 */
export { type AgentLog, type LogFields, newAgentLog } from './agent-log.ts';
export { Metrics, type ToolEnd } from './metrics.ts';
export { type ProbeServer, startProbeServer } from './probe-server.ts';
