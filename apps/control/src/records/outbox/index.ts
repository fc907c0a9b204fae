/** What others are told over a broker, once at least: relay.ts empties what outbox-store.ts, the port, keeps. */
export type { OutboxEntry, OutboxStore } from './outbox-store.ts';
export { type Announcement, Relay } from './relay.ts';
