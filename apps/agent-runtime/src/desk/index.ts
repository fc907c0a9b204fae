/**
 * What people do beside agents: inject.ts sends a task, which injection.ts makes · monitor.ts shows what goes over the broker, as
 * sighting.ts tells it · call.ts reaches the broker.
 */
export { inject } from './inject.ts';
export { monitor } from './monitor.ts';
export { type MonitorFormat, monitorFormats, type MonitorMode, monitorModes } from './sighting.ts';
