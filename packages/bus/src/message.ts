import type { Clock, Random } from '@hivekeeper/kernel';

/** A message as it came. */
export interface IncomingMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** True where the broker kept it from before the subscription. */
  readonly isRetained: boolean;
}

/** A message to publish. */
export interface OutgoingMessage {
  readonly topic: string;
  readonly payload: string;
  /** 0: sent once where there is a connection, else dropped. 1: sent until the broker has it. */
  readonly qos: 0 | 1;
  readonly isRetained?: boolean;
  /** How long the broker keeps it (MQTT 5). */
  readonly expirySeconds?: number;
}

/** What the broker publishes when the connection is lost without a goodbye. */
export type Will = Omit<OutgoingMessage, 'expirySeconds'>;

/** What is listened to. */
export interface Subscription {
  readonly filter: string;
  readonly qos: 0 | 1;
  /** Each message goes to one subscriber of that name. Where the broker cannot do that, to every one. */
  readonly sharedBy?: string;
  /** False: what the broker keeps is not delivered on subscribing. */
  readonly wantsRetained: boolean;
  /**
   * Called with one message after the other. When it returns, the broker may forget the message. Where it throws, the
   * message is not acknowledged and the connection is dropped, so that the broker delivers it again.
   */
  readonly take: (message: IncomingMessage) => void | Promise<void>;
}

/** What happens to a bus. `reason` is for people. */
export type BusEvent =
  | { readonly kind: 'connecting' }
  /** Connected, and every subscription is acknowledged. `isShared` is false where the broker shares nothing out. */
  | { readonly kind: 'ready'; readonly isShared: boolean }
  | { readonly kind: 'lost'; readonly reason: string; readonly retryInMs: number; readonly wasReady: boolean }
  | { readonly kind: 'received'; readonly topic: string }
  | { readonly kind: 'notTaken'; readonly topic: string; readonly reason: string }
  | { readonly kind: 'published'; readonly topic: string }
  | { readonly kind: 'publishFailed'; readonly topic: string; readonly reason: string };

/** How to reach a broker, and what to do there. */
export interface BusOptions {
  /** `mqtt://host:port`, or `mqtts://` for TLS. */
  readonly url: string;
  /** The broker knows the session by it: stable where the session outlives the process. */
  readonly clientId: string;
  readonly credentials?: { readonly username: string; readonly password?: string };
  /** How long the broker keeps subscriptions and messages for a client that is away; 0: not at all. */
  readonly session: { readonly expirySeconds: number };
  /** Larger messages are not delivered to us (MQTT 5). */
  readonly maximumPacketBytes: number;
  /** Default 30. */
  readonly keepAliveSeconds?: number;
  /** Asked at every connection. */
  readonly will?: () => Will;
  readonly subscriptions: readonly Subscription[];
  readonly onEvent: (event: BusEvent) => void;
  readonly clock: Clock;
  readonly random: Random;
}
