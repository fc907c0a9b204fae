import { mqttAgentName, type MqttAgentView } from '@hivekeeper/contract';
import { type AgentStatus, agentStatusSchema, statusTopic } from '@hivekeeper/contract/agent2389';

interface Heard {
  readonly status: AgentStatus;
  /** In which era each replica that is there was last heard. One without a name is the only one of its agent. */
  readonly replicas: Map<string, number>;
  readonly atMs: number;
}

// Whoever may write to the broker could name agents without end.
const mostAgents = 10_000;
const mostReplicas = 1_000;

/** Who is there, as the agents themselves say it on their status topics. Presence is counted over replicas: the broker keeps the last word only. */
export class Roster {
  readonly #isOwn: (agentId: string) => boolean;
  readonly #heard = new Map<string, Heard>();
  #era = 0;

  /** `isOwn`: of which agents the platform itself says that they are there. */
  constructor(isOwn: (agentId: string) => boolean = () => false) {
    this.#isOwn = isOwn;
  }

  /**
   * Takes what came on a status topic. What is no status, or is said by one agent of another, counts for nothing. Gives the id of
   * an agent of which a replica came, or came back.
   */
  hear(topic: string, payload: Uint8Array, atMs: number): string | undefined {
    // How operators take a status back.
    if (payload.length === 0) this.#forget(topic);
    const status = statusIn(payload);
    if (status === undefined || topic !== statusTopic(status.agent_id) || this.#isOwn(status.agent_id)) return undefined;
    const { agent_id: id, replica = '' } = status;
    const before = this.#heard.get(id);
    if (before === undefined && this.#heard.size >= mostAgents) return undefined;
    const isNew = status.status === 'available' && before?.replicas.get(replica) !== this.#era;
    this.#heard.set(id, this.#after(status, before, atMs));
    return isNew ? id : undefined;
  }

  #after(status: AgentStatus, before: Heard | undefined, atMs: number): Heard {
    const { replica = '' } = status;
    const replicas = before?.replicas ?? new Map<string, number>();
    if (status.status === 'unavailable') replicas.delete(replica);
    else if (replicas.size < mostReplicas || replicas.has(replica)) replicas.set(replica, this.#era);
    // Who leaves says less than who is there.
    const said = status.status === 'available' || before === undefined ? status : before.status;
    return { status: said, replicas, atMs };
  }

  /** From now on nothing is heard, until there is a connection again. */
  beginEra(): void {
    this.#era += 1;
  }

  /** Nobody is there any more that was not heard in this era. */
  forgetOlderEras(): void {
    for (const { replicas } of this.#heard.values()) for (const [replica, era] of replicas) if (era < this.#era) replicas.delete(replica);
  }

  /** What nodes call the agents that are there, sorted. */
  available(): string[] {
    return [...this.#heard].flatMap(([id, { replicas }]) => (replicas.size > 0 ? [mqttAgentName(id)] : [])).toSorted();
  }

  views(): MqttAgentView[] {
    return [...this.#heard.values()].map(viewOf).toSorted((one, other) => (one.name < other.name ? -1 : 1));
  }

  view(id: string): MqttAgentView | undefined {
    const heard = this.#heard.get(id);
    return heard === undefined ? undefined : viewOf(heard);
  }

  #forget(topic: string): void {
    for (const id of this.#heard.keys()) if (statusTopic(id) === topic) this.#heard.delete(id);
  }
}

function viewOf({ status, replicas, atMs }: Heard): MqttAgentView {
  const { agent_id: id, capabilities = [], description, simulated = false } = status;
  return {
    kind: 'mqtt',
    name: mqttAgentName(id),
    state: replicas.size > 0 ? 'available' : 'unavailable',
    replicaCount: replicas.size,
    capabilities,
    ...(description !== undefined && { description }),
    isSimulated: simulated,
    heardAtMs: atMs,
  };
}

function statusIn(payload: Uint8Array): AgentStatus | undefined {
  try {
    return agentStatusSchema.safeParse(JSON.parse(Buffer.from(payload).toString('utf8'))).data;
  } catch {
    return undefined;
  }
}
