/**
 * The typed HTTP client of `/v1`, for browsers and Node alike. It loads the error catalogue and an SSE parser, nothing else.
 *
 * client.ts  one method per route · worker.ts  the worker protocol · call.ts  one request, its errors made HiveErrors
 * events.ts  a run's event stream, reconnecting where it stopped
 */
export { type Client, type ListDead, type ListEvents, type ListRuns, type OnceOptions, type StartedRun, createClient } from './client.ts';
export { type ClientOptions } from './call.ts';
export { type StreamedEvent, type StreamOptions } from './events.ts';
export { type WorkerCalls } from './worker.ts';
