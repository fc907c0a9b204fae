/** What a broker tells. Where a call rejects, the broker keeps the message and tells it again. */
export interface BrokerListener {
  /** There is a connection, and it is subscribed; statuses that the broker keeps come next. */
  connected(): void;
  lost(): void;
  /** An agent said whether it is there. */
  heardStatus(topic: string, payload: Uint8Array): void;
  /** Something came on a conversation. */
  heardAnswer(topic: string, payload: Uint8Array): Promise<void>;
}

/** The port to a broker; see `adapters/brokers`. Disposing it ends the connection, and leaves what is not delivered at the broker. */
export interface Broker extends AsyncDisposable {
  /** Resolves when the broker has it, be it over several connections; it may be delivered twice. @throws HiveError BROKER_REFUSED */
  send(topic: string, payload: string): Promise<void>;
}

/** Connects in the background, for ever. */
export type OpenBroker = (listener: BrokerListener) => Broker;
