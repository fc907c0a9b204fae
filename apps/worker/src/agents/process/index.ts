/** Runs agents that are processes: JSON in, one JSON document out. The map is in README.md. */
export { newProcessKind, type ProcessOptions } from './execute.ts';
export { type Runtimes, findRuntimes } from './runtimes.ts';
export { type Workspace } from './workspace.ts';
