/** A message to publish; at least once. */
export interface TaskMessage {
  readonly topic: string;
  readonly payload: string;
  /** The broker keeps it for who comes later, for so long; not at all where absent. */
  readonly keptSeconds?: number;
}

/** What a line tells. */
export interface TaskLineListener {
  /** There is a connection, and it is subscribed. */
  connected(): void;
  /** Something came on the input topic of an agent. Until it resolves the broker keeps it; where it rejects, it comes again. */
  take(topic: string, payload: Uint8Array): Promise<void>;
}

/** The port to a broker on which tasks for agents of the platform come; see `adapters/brokers`. It comes back by itself. */
export interface TaskLine extends AsyncDisposable {
  isConnected(): boolean;
  /** Resolves when the broker has it, be it over several connections. @throws HiveError BROKER_REFUSED */
  publish(message: TaskMessage): Promise<void>;
}

/** Listens on the input topics of these agents, and of no others. */
export type OpenTaskLine = (agentIds: readonly string[], listener: TaskLineListener) => TaskLine;
