/** Runs agents that are processes: JSON in, one JSON document out. The map is in README.md. */
export { type CommandSources, environmentOf, graceMs, maxArgumentBytes, merged } from './command.ts';
export { newProcessKind, type ProcessOptions, runAgent, runHeard } from './execute.ts';
export { resolveGrants } from './grants.ts';
export { failureOf } from './outcome.ts';
export { type Runtimes, findRuntimes } from './runtimes.ts';
export { surroundingsOf } from './surroundings.ts';
export { hiddenIn, isBelow, isProtected, waysTo, type Workspace } from './workspace.ts';
