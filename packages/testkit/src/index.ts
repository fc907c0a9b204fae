/**
 * What tests share. Production code never imports it.
 *
 * fake-clock.ts      time that moves when a test says so
 * seeded-random.ts   randomness that a seed repeats
 * fresh-database.ts  an empty, migrated database on a real PostgreSQL
 * test-server.ts     the PostgreSQL behind it: one per process, gone with its last database
 * fault-proxy.ts     a TCP proxy that delays, holds or cuts
 * fault-provider.ts  a provider of models on loopback that fails in every way
 * mosquitto.ts       a real MQTT broker on loopback, to stop, kill and start
 * leak-guard.ts      fails a test file that leaves sockets, servers, processes or timers behind
 */
export { FakeClock } from './fake-clock.ts';
export {
  answer,
  type Behaviour,
  chunks,
  completion,
  drip,
  type FaultProvider,
  hang,
  startFaultProvider,
  stream,
} from './fault-provider.ts';
export { type FaultMode, type FaultProxy, type FaultProxyCounters, startFaultProxy } from './fault-proxy.ts';
export { type FreshDatabase, freshDatabase, type MigrateDatabase } from './fresh-database.ts';
export { guardLeaks } from './leak-guard.ts';
export { type Mosquitto, startMosquitto } from './mosquitto.ts';
export { seededRandom } from './seeded-random.ts';
