/**
 * Runs containers, by the command line of Podman or Docker.
 *
 * engine.ts  which one works here, and what killed workers left · run-arguments.ts  how tight (pure) · runner.ts  one container, to its end
 */
export type { Container, Engine } from './container.ts';
export { type EngineProbe, probeEngine, sweepContainers } from './engine.ts';
export { isMountable } from './run-arguments.ts';
export { newContainerRunner, type RunContainer } from './runner.ts';
