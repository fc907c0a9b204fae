import { isDeepStrictEqual } from 'node:util';
import {
  type Beat,
  type BeatAnswer,
  type Discovered,
  discoverSchema,
  type Duty,
  type Health,
  HiveError,
  type InstanceDescription,
  type InstanceFilter,
  type InstanceId,
  type InstanceView,
  type ListInstances,
  type TenantId,
  type Telemetry,
} from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import { isAvailable } from './health.ts';
import type { InstanceStore, StoredInstance } from './instance-store.ts';
import type { Presence } from './presence.ts';
import { byRank, rankOf } from './ranking.ts';
import { hasAll, passes } from './selection.ts';
import type { InstanceWatch } from './watch.ts';

/** What {@link Instances} needs. */
export interface InstancesOptions {
  readonly store: InstanceStore;
  readonly presence: Presence;
  readonly watch: InstanceWatch;
  readonly clock: Clock;
  readonly newId: () => InstanceId;
  /** A duty is another one now, ordered here or elsewhere. */
  readonly dutyChanged: (id: InstanceId) => void;
}

/** Who asks, about which instance. */
export interface InstanceCall {
  readonly tenantId: TenantId;
  readonly id: InstanceId;
  readonly by: string;
}

/** An instance in memory: as it was stored last, and what it told since. */
interface Known {
  stored: StoredInstance;
  telemetry: Telemetry;
  /** As watchers were told last. */
  health: Health;
  isMarkDue: boolean;
}

const mostOfTenant = 10_000;

/** Agents and workers that are registered as running. All of them are kept in memory; see {@link InstanceStore} for what is stored. */
export class Instances {
  readonly #options: InstancesOptions;
  readonly #known = new Map<InstanceId, Known>();

  constructor(options: InstancesOptions) {
    this.#options = options;
  }

  /** Reads every instance: at the start, and where changes may have been missed. */
  async refresh(): Promise<void> {
    const stored = await this.#options.store.all();
    const ids = new Set(stored.map(({ id }) => id));
    for (const instance of stored) this.#learn(instance);
    for (const id of this.#known.keys()) if (!ids.has(id)) this.forget(id);
  }

  /** Reads what others changed. */
  async reread(ids: readonly InstanceId[]): Promise<void> {
    const stored = await this.#options.store.some(ids);
    const found = new Set(stored.map(({ id }) => id));
    for (const instance of stored) this.#learn(instance);
    for (const id of ids) if (!found.has(id)) this.forget(id);
  }

  /**
   * Registers an agent; the same name again is the same instance, under the same id. Returns it with its registration, which
   * beats show. @throws HiveError REGISTRY_FULL
   */
  async register(call: {
    readonly tenantId: TenantId;
    readonly description: InstanceDescription;
    readonly telemetry?: Telemetry | undefined;
    readonly by: string;
  }): Promise<InstanceView> {
    const { store, newId } = this.#options;
    const { tenantId, description, telemetry = {}, by } = call;
    if (this.#isFull(tenantId, description)) throw new HiveError('REGISTRY_FULL');
    return this.#registered(await store.register({ tenantId, id: newId(), kind: 'agent', description, telemetry, by }));
  }

  /** Registers a worker that pulls tickets here, under the id it has. */
  async enrol({ id, tenantId, description }: Pick<StoredInstance, 'id' | 'tenantId' | 'description'>): Promise<void> {
    const registration = { tenantId, id, kind: 'worker', description, telemetry: {}, by: 'platform' } as const;
    this.#registered(await this.#options.store.register(registration));
  }

  /** It lives. @throws HiveError NOT_FOUND, INSTANCE_GONE, INSTANCE_REPLACED */
  beat({ tenantId, id, registration, telemetry }: Beat & Pick<InstanceCall, 'tenantId' | 'id'>): BeatAnswer {
    const known = this.#find(tenantId, id);
    if (known.stored.kind === 'worker') throw new HiveError('NOT_FOUND', `${id} is a worker: it is heard by its polls`);
    if (registration !== undefined && registration !== known.stored.registrationCount)
      throw new HiveError('INSTANCE_REPLACED', `${known.stored.description.name} was registered again since`);
    if (this.#healthOf(known) === 'gone') throw new HiveError('INSTANCE_GONE', `${id} counts as gone`);
    this.hear(id, telemetry);
    return { duty: known.stored.duty, lastSeenAtMs: this.#options.clock.nowMs() };
  }

  /** Notes a sign of life, `agoMs` ago. */
  hear(id: InstanceId, telemetry?: Telemetry, agoMs = 0): void {
    const known = this.#known.get(id);
    if (known === undefined) return;
    this.#options.presence.heard(id, agoMs);
    if (telemetry === undefined || isDeepStrictEqual(telemetry, known.telemetry)) return;
    known.telemetry = telemetry;
    // A worker's load is another one when it is read.
    known.isMarkDue = known.stored.kind === 'agent';
  }

  isKnown(id: InstanceId): boolean {
    return this.#known.has(id);
  }

  /** What was ordered of it, without I/O; `active` where it is not known. An arrow, because it is handed around. */
  readonly dutyOf = (id: InstanceId): Duty => this.#known.get(id)?.stored.duty ?? 'active';

  /** Everyone of the tenant that the query fits, by name. */
  list(tenantId: TenantId, { health, capability, ...filter }: ListInstances): InstanceView[] {
    return this.select(tenantId, filter)
      .filter((instance) => (health ?? instance.health) === instance.health)
      .filter((instance) => capability === undefined || hasAll(instance, [capability]))
      .sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** Everyone of the tenant that passes. */
  select(tenantId: TenantId, filter: InstanceFilter): InstanceView[] {
    const ours = [...this.#known.values()].filter(({ stored }) => stored.tenantId === tenantId);
    return ours.map((known) => this.#viewOf(known)).filter((instance) => passes(instance, filter));
  }

  /** @throws HiveError NOT_FOUND */
  get(tenantId: TenantId, id: InstanceId): InstanceView {
    return this.#viewOf(this.#find(tenantId, id));
  }

  /** Who can do all of this, lives, and takes new work: the best first, each with the reasons of its rank. */
  discover(tenantId: TenantId, { capabilities, filter, limit }: ReturnType<typeof discoverSchema.parse>): Discovered {
    const matching = this.select(tenantId, filter).filter((instance) => isAvailable(instance) && hasAll(instance, capabilities));
    const ranked = matching.map((instance) => ({ ...instance, rank: rankOf(instance) })).sort(byRank);
    return { instances: ranked.slice(0, limit), matchCount: matching.length };
  }

  /** Tells everyone there is, then every change, until stopped. */
  follow(tenantId: TenantId, onChange: Parameters<InstanceWatch['add']>[1]): () => void {
    const atMs = this.#nowMs();
    for (const instance of this.select(tenantId, {})) onChange({ type: 'instance.present', atMs, instance });
    return this.#options.watch.add(tenantId, onChange);
  }

  /** Orders a duty. The same again is no news. @throws HiveError NOT_FOUND, INSTANCE_GONE */
  async order({ tenantId, id, by, duty, reason }: InstanceCall & { readonly duty: Duty; readonly reason?: string | undefined }) {
    const known = this.#find(tenantId, id);
    if (known.stored.duty === duty) return this.#viewOf(known);
    if (duty === 'draining' && this.#healthOf(known) === 'gone') throw new HiveError('INSTANCE_GONE', `${id} has left already`);
    const stored = await this.#options.store.setDuty({ tenantId, id, duty, by, reason });
    if (stored === undefined) throw new HiveError('NOT_FOUND', `there is no instance ${id}`);
    this.#learn(stored);
    return this.get(tenantId, id);
  }

  /** Takes it out. @throws HiveError NOT_FOUND; STILL_IN_USE for a worker that is here */
  async deregister({ tenantId, id, by }: InstanceCall): Promise<void> {
    const known = this.#find(tenantId, id);
    if (known.stored.kind === 'worker' && this.#healthOf(known) !== 'gone')
      throw new HiveError('STILL_IN_USE', `${id} is a worker that pulls tickets: drain it, and it leaves`);
    if (!(await this.#options.store.remove(tenantId, id, by))) throw new HiveError('NOT_FOUND', `there is no instance ${id}`);
    this.forget(id);
  }

  /** Tells watchers of those whose health is another one now, and stores marks of those that are ours to judge, and of telemetry. */
  async judge(withTelemetry: boolean): Promise<void> {
    const { presence, store } = this.#options;
    const changed = [...this.#known.values()].filter((known) => this.#noticeHealth(known));
    const due = withTelemetry ? [...this.#known.values()].filter(({ isMarkDue }) => isMarkDue) : [];
    const marked = [...new Set([...changed, ...due])].filter(({ stored }) => presence.isOurs(stored.id));
    for (const known of marked) known.isMarkDue = false;
    if (marked.length === 0) return;
    const marks = marked
      .map((known) => this.#viewOf(known))
      .map(({ id, health, lastSeenAtMs, telemetry }) => ({ id, health, lastSeenAtMs, telemetry }));
    await store.mark(marks);
  }

  /** It is not registered any more. */
  forget(id: InstanceId): void {
    const known = this.#known.get(id);
    if (known === undefined) return;
    const instance = this.#viewOf(known);
    this.#known.delete(id);
    this.#options.presence.forget(id);
    this.#options.watch.tell(known.stored.tenantId, { type: 'instance.deregistered', atMs: this.#nowMs(), instance });
    if (known.stored.duty !== 'active') this.#options.dutyChanged(id);
  }

  #noticeHealth(known: Known): boolean {
    const health = this.#healthOf(known);
    if (health === known.health) return false;
    known.health = health;
    this.#tell('instance.health-changed', known);
    return true;
  }

  #registered(stored: StoredInstance): InstanceView {
    this.#learn(stored);
    this.#options.presence.heard(stored.id);
    return this.#viewOf(this.#find(stored.tenantId, stored.id));
  }

  /** Takes over what is stored; whoever registered anew is told to watchers, and so is a new duty. */
  #learn(stored: StoredInstance): void {
    const { presence, dutyChanged } = this.#options;
    const before = this.#known.get(stored.id);
    const isNew = before?.stored.registrationCount !== stored.registrationCount;
    // Registering is a sign of life, whoever saw it; what is read at the start is not.
    if (before !== undefined && isNew) presence.heard(stored.id);
    presence.assume(stored.id, stored.health);
    const known = before ?? { stored, telemetry: stored.telemetry, health: stored.health, isMarkDue: false };
    const dutyBefore = before?.stored.duty ?? 'active';
    known.stored = stored;
    if (isNew) known.telemetry = stored.telemetry;
    this.#known.set(stored.id, known);
    if (before === undefined) this.#tell('instance.registered', known);
    else if (isNew) this.#tell('instance.updated', known);
    else if (dutyBefore !== stored.duty) this.#tell('instance.duty-changed', known);
    if (dutyBefore !== stored.duty) dutyChanged(stored.id);
  }

  #tell(type: Parameters<InstanceWatch['tell']>[1]['type'], known: Known): void {
    this.#options.watch.tell(known.stored.tenantId, { type, atMs: this.#nowMs(), instance: this.#viewOf(known) });
  }

  #isFull(tenantId: TenantId, { name, namespace }: InstanceDescription): boolean {
    const ours = [...this.#known.values()].filter(({ stored }) => stored.tenantId === tenantId && stored.kind === 'agent');
    const isThere = ours.some(({ stored: { description } }) => description.name === name && description.namespace === namespace);
    return ours.length >= mostOfTenant && !isThere;
  }

  #find(tenantId: TenantId, id: InstanceId): Known {
    const known = this.#known.get(id);
    if (known?.stored.tenantId !== tenantId) throw new HiveError('NOT_FOUND', `there is no instance ${id}`);
    return known;
  }

  #healthOf({ stored }: Known): Health {
    return this.#options.presence.health(stored.id, stored.description.beatIntervalMs);
  }

  #viewOf(known: Known): InstanceView {
    const { id, kind, description, duty, order, registrationCount, registeredAtMs, lastSeenAtMs } = known.stored;
    const silentMs = this.#options.presence.silentMs(id);
    return {
      id,
      kind,
      ...description,
      registrationCount,
      registeredAtMs,
      // What was seen before this process began is only known from the last mark.
      lastSeenAtMs: this.#options.presence.isAssumed(id) ? lastSeenAtMs : Math.round(this.#nowMs() - silentMs),
      health: this.#healthOf(known),
      duty,
      ...(order !== undefined && { order }),
      telemetry: known.telemetry,
    };
  }

  #nowMs(): number {
    return Math.floor(this.#options.clock.nowMs());
  }
}
