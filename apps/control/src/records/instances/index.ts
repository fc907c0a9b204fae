/**
 * Agents and workers that are registered as running: who can do what, who lives, who takes new work.
 *
 * instances.ts     registering, beats, discovering, orders · watch.ts  who follows the changes
 * health.ts        how somebody fares who was silent for so long · ranking.ts, selection.ts  who fits, who fits best (all pure)
 * attention.ts     time in which this process could hear · presence.ts  who was heard when, and by which control plane
 * watchfulness.ts  the round that notices silence · instance-store.ts  the port to the database
 */
export { Attention } from './attention.ts';
export { type InstanceCall, Instances } from './instances.ts';
export type { InstanceStore, Mark, Registration, Round, StoredInstance } from './instance-store.ts';
export { Presence } from './presence.ts';
export { InstanceWatch } from './watch.ts';
export { Watchfulness } from './watchfulness.ts';
