import { hash } from 'node:crypto';
import { type CreateKey, HiveError, type KeyRole, type KeyView, type MadeKey, type TenantId } from '@hivekeeper/contract';
import type { Clock, Random } from '@hivekeeper/kernel';
import { LRUCache } from 'lru-cache';

/** Who is calling. */
export interface Principal {
  readonly tenantId: TenantId;
  readonly role: KeyRole;
  /** For the audit, e.g. `key:bootstrap`. */
  readonly subject: string;
}

/** Whose key was found. */
export interface KeyOwner extends Principal {
  readonly keyId: string;
}

/** A key to be stored, by its hash. */
export interface NewKey {
  readonly tenantId: TenantId;
  readonly name: string;
  readonly role: KeyRole;
  readonly keySha256: Uint8Array;
  readonly expiresInMs?: number | undefined;
  /** The active key of that name ends. */
  readonly endsEarlier?: boolean;
  readonly by: string;
}

/** The port to the database. */
export interface KeyStore {
  /** The owner of a key that works: not revoked, not expired. */
  find(keySha256: Uint8Array): Promise<KeyOwner | undefined>;
  /** Whether such a key was ever stored. */
  isKnown(keySha256: Uint8Array): Promise<boolean>;
  /** Stores a key. @throws HiveError ALREADY_EXISTS where a key of the name is active, and does not end */
  add(key: NewKey): Promise<KeyView>;
  /** Stores a key in the place of the active one of its name, which works `overlapMs` longer. @throws HiveError NOT_FOUND */
  replace(key: Omit<NewKey, 'name' | 'role'> & { readonly id: string; readonly overlapMs: number }): Promise<KeyView>;
  /** Ends a key. Idempotent. @throws HiveError NOT_FOUND */
  revoke(which: { readonly tenantId: TenantId; readonly id: string; readonly by: string }): Promise<KeyView>;
  /** The newest first, at most 1,000. */
  list(tenantId: TenantId): Promise<readonly KeyView[]>;
  /** Notes that keys were used. */
  used(keyIds: readonly string[]): Promise<void>;
}

// A revoked key stops working after this long at the latest.
const rememberedForMs = 3_000;
const kept = 10_000;
const noteUseEveryMs = 30_000;

/** What {@link KeyRing} needs. */
export interface KeyRingOptions {
  readonly store: KeyStore;
  readonly random: Random;
  readonly clock: Clock;
}

/** API keys: 256 random bits, of which only the SHA-256 is stored. */
export class KeyRing implements Disposable {
  readonly #store: KeyStore;
  readonly #random: Random;
  readonly #owners: LRUCache<string, KeyOwner>;
  /** Apart, so that whoever sends keys at random pushes out none that works. */
  readonly #unknown: LRUCache<string, true>;
  readonly #used = new Set<string>();
  readonly #timer: Disposable;

  constructor({ store, random, clock }: KeyRingOptions) {
    this.#store = store;
    this.#random = random;
    // By a clock that never jumps back, or a revoked key would work for longer.
    const memory = { max: kept, ttl: rememberedForMs, ttlResolution: 0, perf: { now: () => 1 + clock.monotonicMs() } };
    this.#owners = new LRUCache(memory);
    this.#unknown = new LRUCache(memory);
    this.#timer = clock.every(noteUseEveryMs, () => void this.noteUse());
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  /** Makes a key. It is in the answer, and nowhere else ever again. @throws HiveError ALREADY_EXISTS */
  async create({ tenantId, by, ...key }: CreateKey & { readonly tenantId: TenantId; readonly by: string }): Promise<MadeKey> {
    const text = this.#newKey();
    return { ...(await this.#store.add({ ...key, tenantId, by, keySha256: digest(text) })), key: text };
  }

  /** Makes a key that takes the name and the role of an active one. @throws HiveError NOT_FOUND */
  async rotate(call: KeyCall & { readonly overlapMs: number; readonly expiresInMs?: number | undefined }): Promise<MadeKey> {
    const text = this.#newKey();
    const view = await this.#store.replace({ ...call, keySha256: digest(text) });
    this.#owners.clear();
    return { ...view, key: text };
  }

  /** Ends a key: at once here, within 3 s at other control planes. Idempotent. @throws HiveError NOT_FOUND */
  async revoke(call: KeyCall): Promise<KeyView> {
    const view = await this.#store.revoke(call);
    this.#owners.clear();
    return view;
  }

  list(tenantId: TenantId): Promise<readonly KeyView[]> {
    return this.#store.list(tenantId);
  }

  /** A key of the platform's own, in the place of the one that has its name. */
  async issue(key: OwnKey): Promise<string> {
    const text = this.#newKey();
    await this.#store.add({ ...key, by: 'platform', endsEarlier: true, keySha256: digest(text) });
    this.#owners.clear();
    return text;
  }

  /** As {@link issue}, of a key that a file keeps. Idempotent; false where it was ended: the file holds nothing any more. */
  async adopt({ text, ...key }: OwnKey & { readonly text: string }): Promise<boolean> {
    const keySha256 = digest(text);
    if ((await this.#store.find(keySha256)) !== undefined) return true;
    if (await this.#store.isKnown(keySha256)) return false;
    await this.#store.add({ ...key, by: 'platform', endsEarlier: true, keySha256 });
    this.#unknown.clear();
    return true;
  }

  /** Who the key belongs to; looked up by its hash, so the comparison leaks nothing about the key. */
  async principalOf(text: string): Promise<Principal | undefined> {
    const keySha256 = digest(text);
    const name = Buffer.from(keySha256).toString('base64');
    const known = this.#owners.get(name);
    if (known !== undefined) return known;
    if (this.#unknown.has(name)) return undefined;
    const owner = await this.#store.find(keySha256);
    if (owner === undefined) this.#unknown.set(name, true);
    else {
      this.#owners.set(name, owner);
      this.#used.add(owner.keyId);
    }
    return owner;
  }

  /** Stores which keys were used since the last time; what a crash loses is for people only. */
  async noteUse(): Promise<void> {
    const ids = [...this.#used];
    this.#used.clear();
    if (ids.length > 0) await this.#store.used(ids).catch(() => ids.forEach((id) => this.#used.add(id)));
  }

  #newKey(): string {
    return `hive_${Buffer.from(this.#random.bytes(32)).toString('base64url')}`;
  }
}

/** A key that the platform makes for itself, and for its first admin. */
export type OwnKey = Pick<NewKey, 'tenantId' | 'name' | 'role'>;

/** Which key, and who says so. */
export interface KeyCall {
  readonly tenantId: TenantId;
  readonly id: string;
  readonly by: string;
}

/** @throws HiveError ALREADY_EXISTS: what is said where the name of a key is taken */
export const nameIsTaken = (name: string): HiveError =>
  new HiveError('ALREADY_EXISTS', `there is an active key named ${name}; rotate or revoke it`);

const digest = (text: string): Uint8Array => hash('sha256', text, 'buffer');
