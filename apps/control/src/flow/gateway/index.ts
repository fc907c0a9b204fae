/**
 * Agents over MQTT as workflows see them.
 *
 * gateway.ts  the worker that lets them do tickets · task.ts  what they are sent, and what their answers mean
 * roster.ts   who is there · broker.ts  the port to the broker
 */
export type { Broker, BrokerListener, OpenBroker } from './broker.ts';
export { Gateway } from './gateway.ts';
