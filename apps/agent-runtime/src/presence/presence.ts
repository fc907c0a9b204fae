import { type AgentStatus, statusTopic } from '@hivekeeper/contract/agent2389';
import type { OutgoingMessage, Will } from '@hivekeeper/bus';
import type { Clock, Timer } from '@hivekeeper/kernel';
import { statusIn } from './status.ts';

/** What a replica says of itself, and by which means. */
export interface PresenceOptions {
  readonly agentId: string;
  readonly replica: string;
  readonly description: string;
  readonly capabilities: readonly string[];
  readonly isSimulated: boolean;
  readonly heartbeatMs: number;
  readonly clock: Clock;
  readonly publish: (message: OutgoingMessage) => Promise<void>;
  readonly onHeartbeat: () => void;
}

const shortestExpirySeconds = 3_600;

/**
 * One replica on the status topic that it shares with the others of its agent. The broker keeps the last word only, so
 * presence is counted, not read: whoever hears another replica for the first time, or hears it go, says that it is there
 * itself. One replica's last will so never marks the others as gone, and whoever listens hears a roll call.
 */
export class Presence {
  readonly #options: PresenceOptions;
  /** When each other replica was last heard, by the monotonic clock. */
  readonly #peers = new Map<string, number>();
  #heartbeat: Timer | undefined;
  readonly #heardFarewell = Promise.withResolvers<void>();
  #isLeaving = false;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** We are there: say so now and at every heartbeat. */
  announce(): void {
    // A connection that comes back while we leave changes nothing.
    if (this.#isLeaving) return;
    this.#heartbeat?.cancel();
    this.#heartbeat = this.#options.clock.every(this.#options.heartbeatMs, () => this.#assert());
    this.#assert();
  }

  /** The connection is gone: our last will speaks for us. */
  pause(): void {
    this.#heartbeat?.cancel();
    this.#heartbeat = undefined;
  }

  /** What came on the status topic. */
  hear(payload: Uint8Array): void {
    const heard = statusIn(payload);
    // One without a name is a program of somebody else, which shares nothing out.
    if (heard?.replica === undefined || heard.agent_id !== this.#options.agentId) return;
    const isGone = heard.status === 'unavailable';
    if (heard.replica !== this.#options.replica) this.#hearPeer(heard.replica, isGone);
    else if (isGone && this.#isLeaving) this.#heardFarewell.resolve();
  }

  #hearPeer(peer: string, isGone: boolean): void {
    const isNews = isGone || !this.#peers.has(peer);
    if (isGone) this.#peers.delete(peer);
    else this.#peers.set(peer, this.#options.clock.monotonicMs());
    if (isNews && this.#heartbeat !== undefined) this.#assert();
  }

  /** True while another replica is there, as far as we know. */
  hasPeers(): boolean {
    const { clock, heartbeatMs } = this.#options;
    const oldestMs = clock.monotonicMs() - 3 * heartbeatMs;
    return [...this.#peers.values()].some((heardMs) => heardMs >= oldestMs);
  }

  /** What the broker publishes when we are gone without a word. */
  will(): Will {
    return { topic: statusTopic(this.#options.agentId), payload: this.#payload('unavailable'), qos: 1, isRetained: true };
  }

  /** We go. Resolves when the broker knows, and has delivered to us what it had before. */
  async leave(): Promise<void> {
    this.pause();
    this.#isLeaving = true;
    await this.#options.publish(this.will());
    await this.#heardFarewell.promise;
  }

  #assert(): void {
    const { agentId, heartbeatMs, publish, onHeartbeat } = this.#options;
    const expirySeconds = Math.max(shortestExpirySeconds, Math.ceil((3 * heartbeatMs) / 1_000));
    publish({ topic: statusTopic(agentId), payload: this.#payload('available'), qos: 1, isRetained: true, expirySeconds }).then(
      onHeartbeat,
      // The bus has told the reason.
      () => {},
    );
  }

  #payload(word: AgentStatus['status']): string {
    const { agentId, replica, description, capabilities, isSimulated, clock } = this.#options;
    const status: AgentStatus = {
      ...{ agent_id: agentId, status: word, timestamp: new Date(clock.nowMs()).toISOString() },
      ...(word === 'available' && capabilities.length > 0 && { capabilities: [...capabilities] }),
      ...(word === 'available' && { description: isSimulated ? `SIMULATED ${description}` : description }),
      replica,
      ...(isSimulated && { simulated: true as const }),
    };
    return JSON.stringify(status);
  }
}
