import { hash } from 'node:crypto';
import type { TenantId } from '@hivekeeper/contract';
import type { Random } from '@hivekeeper/kernel';

/** What a key may do: `admin` everything, `worker` the worker calls only. */
export type Role = 'admin' | 'worker';

/** Who is calling. */
export interface Principal {
  readonly tenantId: TenantId;
  readonly role: Role;
  /** For the audit, e.g. `key:bootstrap`. */
  readonly subject: string;
}

/** The port to the database. */
export interface KeyStore {
  /** The owner of a key that is not revoked. */
  find(keySha256: Uint8Array): Promise<Principal | undefined>;
  /** Stores a key, or replaces the one of that name. */
  put(key: { readonly tenantId: TenantId; readonly name: string; readonly role: Role; readonly keySha256: Uint8Array }): Promise<void>;
}

// A revoked key stops working after this long at the latest.
const rememberedForMs = 3_000;

/** API keys: 256 random bits, of which only the SHA-256 is stored. */
export class KeyRing {
  readonly #store: KeyStore;
  readonly #random: Random;
  /** Never jumps back, or a revoked key would work for longer. */
  readonly #nowMs: () => number;
  readonly #known = new Map<string, { readonly principal: Principal | undefined; readonly untilMs: number }>();

  constructor(options: { readonly store: KeyStore; readonly random: Random; readonly nowMs: () => number }) {
    this.#store = options.store;
    this.#random = options.random;
    this.#nowMs = options.nowMs;
  }

  /** Makes a key, stores its hash under the name (an earlier key of that name ends), and returns it: the only time it is readable. */
  async issue(key: { readonly tenantId: TenantId; readonly name: string; readonly role: Role }): Promise<string> {
    const text = `hive_${Buffer.from(this.#random.bytes(32)).toString('base64url')}`;
    await this.adopt({ ...key, text });
    return text;
  }

  /** Stores the hash of a key that exists already; one that is stored and good keeps the name it has. Idempotent. */
  async adopt({
    text,
    ...key
  }: {
    readonly tenantId: TenantId;
    readonly name: string;
    readonly role: Role;
    readonly text: string;
  }): Promise<void> {
    const keySha256 = digest(text);
    const known = await this.#store.find(keySha256);
    if (known?.tenantId !== key.tenantId || known.role !== key.role) await this.#store.put({ ...key, keySha256 });
  }

  /** Who the key belongs to; looked up by its hash, so the comparison leaks nothing about the key. */
  async principalOf(text: string): Promise<Principal | undefined> {
    const keySha256 = digest(text);
    const name = Buffer.from(keySha256).toString('hex');
    const known = this.#known.get(name);
    if (known !== undefined && known.untilMs > this.#nowMs()) return known.principal;
    const principal = await this.#store.find(keySha256);
    if (this.#known.size > 10_000) this.#known.clear();
    this.#known.set(name, { principal, untilMs: this.#nowMs() + rememberedForMs });
    return principal;
  }
}

const digest = (text: string): Uint8Array => hash('sha256', text, 'buffer');
