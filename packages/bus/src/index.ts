/**
 * Publish and subscribe over MQTT 5, for those who must not lose what they were told.
 *
 * bus.ts      a connection that comes back, what it owes, what it hears · link.ts  one connection's life
 * message.ts what is said, heard and told
 * window.ts   publications under way · backoff.ts  how long to wait · topic-filter.ts  which subscription a topic is for
 */
export { type Bus, openBus } from './bus.ts';
export { type BusEvent, type BusOptions, type IncomingMessage, type OutgoingMessage, type Subscription, type Will } from './message.ts';
