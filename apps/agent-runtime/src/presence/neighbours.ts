import type { Neighbour } from '../task/index.ts';
import { statusIn } from './status.ts';

/** The agents that were heard to be available, whoever runs them. */
export class Neighbours {
  readonly #available = new Map<string, Neighbour>();

  hear(payload: Uint8Array): void {
    const status = statusIn(payload);
    if (status === undefined) return;
    const { agent_id: agentId, capabilities = [] } = status;
    if (status.status === 'available') this.#available.set(agentId, { agentId, capabilities });
    // Its other replicas say so at once, where there are any.
    else this.#available.delete(agentId);
  }

  all(): Neighbour[] {
    return [...this.#available.values()].toSorted((one, other) => (one.agentId < other.agentId ? -1 : 1));
  }
}
