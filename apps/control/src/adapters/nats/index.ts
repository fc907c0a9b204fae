/** NATS: broker.ts is the connection, with what comes and what goes; message.ts makes events of messages (pure). */
export { NatsBroker, type NatsOptions, type Verdict } from './broker.ts';
