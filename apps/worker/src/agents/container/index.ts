/** Runs agents that are images of containers. */
export { type ContainerOptions, newContainerKind } from './execute.ts';
