import type { Money } from '../records/budgets/index.ts';
import type { Clock, Log } from '@hivekeeper/kernel';
import type { Gateway } from '../flow/gateway/index.ts';
import type { Canaries, Health } from '../flow/health/index.ts';
import type { ModelCallStore, ModelGateway } from '../flow/models/index.ts';
import type { Callbacks, RunCensus, RunOrders, Runs, RunStore, Suspensions, TurnStore } from '../flow/runs/index.ts';
import type { Breakers, ThrottleStore, TicketDesk, TicketStore } from '../flow/tickets/index.ts';
import type { BulkOrders, DeadLetters, Events, Schedules, Triggers } from '../flow/triggers/index.ts';
import type { Backups } from '../operations/backups/index.ts';
import type { EffectLedger, EffectStore } from '../records/effects/index.ts';
import type { KeyRing } from '../records/keys/index.ts';
import type { Instances } from '../records/instances/index.ts';
import type { Links } from '../records/links/index.ts';
import type { Redaction } from '../records/redaction/index.ts';
import type { AgentRegistry, WorkflowRegistry } from '../records/registry/index.ts';

/** Calls that are answered within a minute; 0 for any number. */
export interface RateLimits {
  /** Of one address to `/api`, whatever becomes of them. */
  readonly apiPerMinute: number;
  /** Of one key to `/v1`. Workers' calls do not count: how many they make is ours to decide, not theirs. */
  readonly v1PerMinute: number;
}

/** Everything behind the door, as `main.ts` wires it. */
export interface Services {
  readonly runs: Runs;
  readonly orders: RunOrders;
  readonly suspensions: Suspensions;
  readonly callbacks: Pick<Callbacks, 'take' | 'look'>;
  readonly effects: EffectLedger;
  readonly effectStore: EffectStore;
  readonly runStore: RunStore;
  readonly census: RunCensus;
  readonly triggers: Triggers;
  readonly bulk: BulkOrders;
  readonly dead: DeadLetters;
  readonly links: Links;
  readonly redaction: Redaction;
  readonly schedules: Schedules;
  readonly events: Events;
  readonly turnStore: TurnStore;
  readonly desk: TicketDesk;
  /** Absent where no MQTT broker is configured. */
  readonly gateway?: Pick<Gateway, 'isConnected' | 'agents' | 'agent'> | undefined;
  /** Absent where no models are configured. */
  readonly models?: Pick<ModelGateway, 'call' | 'models' | 'tallied'> | undefined;
  readonly money: Pick<Money, 'reserve' | 'list' | 'set' | 'remove'>;
  readonly modelCalls: Pick<ModelCallStore, 'list' | 'costs'>;
  readonly tickets: TicketStore;
  readonly throttles: ThrottleStore;
  readonly breakers: Breakers;
  readonly agents: AgentRegistry;
  readonly workflows: WorkflowRegistry;
  readonly instances: Instances;
  readonly keys: KeyRing;
  readonly backups: Backups;
  /** Whether work moves; the database is asked by {@link probeDatabase}. */
  readonly health: Pick<Health, 'readiness'>;
  readonly canaries: Pick<Canaries, 'views'>;
  readonly clock: Clock;
  readonly log: Log;
  /** Proves that durable work is possible: a write that is committed. @throws HiveError DATABASE_UNAVAILABLE */
  readonly probeDatabase: () => Promise<void>;
  /** Seconds of work still accepted: true once SIGTERM was received. */
  readonly isDraining: () => boolean;
  readonly version: string;
  readonly epoch: number;
  readonly startedAtMs: number;
  /** The address under which people reach the door, where it is known. */
  readonly publicUrl?: string | undefined;
  /** `none`: only loopback hosts and origins are served, and everybody is admin. */
  readonly authentication: 'api-key' | 'none';
  /** How often one caller may call; absent: as often as it likes. */
  readonly rates?: RateLimits;
}
