import type { Duty, Health, InstanceId, InstanceDescription, InstanceKind, Telemetry, TenantId } from '@hivekeeper/contract';

/** An instance as stored. */
export interface StoredInstance {
  readonly id: InstanceId;
  readonly tenantId: TenantId;
  readonly kind: InstanceKind;
  readonly description: InstanceDescription;
  readonly registrationCount: number;
  readonly registeredAtMs: number;
  readonly duty: Duty;
  readonly order?: { readonly by: string; readonly atMs: number; readonly reason?: string | undefined } | undefined;
  /** As it was marked last: marks are rare, see {@link InstanceStore.mark}. */
  readonly health: Health;
  readonly lastSeenAtMs: number;
  readonly telemetry: Telemetry;
}

/** Somebody registers. */
export interface Registration {
  readonly tenantId: TenantId;
  /** Taken where the name is new; a worker's own. */
  readonly id: InstanceId;
  readonly kind: InstanceKind;
  readonly description: InstanceDescription;
  readonly telemetry: Telemetry;
  readonly by: string;
}

/** What is made durable now and then of what is known in memory. */
export interface Mark {
  readonly id: InstanceId;
  readonly health: Health;
  readonly lastSeenAtMs: number;
  readonly telemetry: Telemetry;
}

/** What one control plane heard lately: how long each instance was silent, when that was told. */
export interface Round {
  readonly planeId: string;
  /** How long ago it was told, by the database's clock. */
  readonly ageMs: number;
  readonly silences: ReadonlyMap<InstanceId, number>;
}

/**
 * The port to the database. Registrations, duties and removals commit with their audit entries and are told to every control
 * plane. Beats are not stored: a control plane tells the others of all of them at once, in one row of its own.
 */
export interface InstanceStore {
  /** Of every tenant. */
  all(): Promise<readonly StoredInstance[]>;
  some(ids: readonly InstanceId[]): Promise<readonly StoredInstance[]>;
  /** The same kind, namespace and name (of workers: the same id) is the same instance, and keeps its id and a cordon. */
  register(registration: Registration): Promise<StoredInstance>;
  /** Undefined where there is none. */
  setDuty(change: {
    readonly tenantId: TenantId;
    readonly id: InstanceId;
    readonly duty: Duty;
    readonly by: string;
    readonly reason?: string | undefined;
  }): Promise<StoredInstance | undefined>;
  /** False where there is none. */
  remove(tenantId: TenantId, id: InstanceId, by: string): Promise<boolean>;
  mark(marks: readonly Mark[]): Promise<void>;
  tellRound(planeId: string, silences: ReadonlyMap<InstanceId, number>): Promise<void>;
  /** The last round of every other control plane that told one within a minute. */
  rounds(planeId: string): Promise<readonly Round[]>;
}
