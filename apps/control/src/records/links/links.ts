import { createHmac, timingSafeEqual } from 'node:crypto';
import { type ApprovalId, HiveError, type LinkId, linkIdSchema, type TenantId } from '@hivekeeper/contract';
import type { Clock, Random } from '@hivekeeper/kernel';

/** What a link lets whoever has it decide, until when, and who answers for it. */
export interface Link {
  readonly id: LinkId;
  readonly tenantId: TenantId;
  readonly approvalId: ApprovalId;
  /** Of the input that is to be decided about. */
  readonly inputSha256: string;
  readonly expiresAtMs: number;
  /** Subject of the key it was made with. */
  readonly createdBy: string;
}

/** A link as it is stored: what it is about, and the seal that only its secret can make. */
export type SealedLink = Link & { readonly seal: Uint8Array };

/** The port to the database. */
export interface LinkStore {
  /** Stores a link, with its audit entry. */
  put(link: SealedLink): Promise<void>;
  find(id: LinkId): Promise<SealedLink | undefined>;
}

/** What {@link Links} needs. */
export interface LinksOptions {
  readonly store: LinkStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly newId: () => LinkId;
}

const secretBytes = 32;

/**
 * Signed links to approvals: `lnk_….<secret>`. The secret, 256 random bits, is the key of an HMAC over what the link is
 * about; the database keeps the HMAC and nobody keeps the secret. So neither the database nor a backup of it can make a link,
 * and one that was sent cannot be turned to another approval, another input or a later end.
 */
export class Links {
  readonly #options: LinksOptions;

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  /** Makes a link and gives its text: the only time it is readable. */
  async create(about: Omit<Link, 'id'>): Promise<string> {
    const { store, random, newId } = this.#options;
    const link = { ...about, id: newId() };
    const secret = Buffer.from(random.bytes(secretBytes)).toString('base64url');
    await store.put({ ...link, seal: sealOf(link, secret) });
    return `${link.id}.${secret}`;
  }

  /** What the link is about. @throws HiveError LINK_INVALID, LINK_EXPIRED */
  async open(text: string): Promise<Link> {
    const at = text.indexOf('.');
    const id = linkIdSchema.safeParse(text.slice(0, Math.max(0, at)));
    const stored = id.success ? await this.#options.store.find(id.data) : undefined;
    if (stored === undefined) throw new HiveError('LINK_INVALID');
    const { seal, ...link } = stored;
    if (!timingSafeEqual(sealOf(link, text.slice(at + 1)), seal)) throw new HiveError('LINK_INVALID');
    if (link.expiresAtMs <= this.#options.clock.nowMs()) throw new HiveError('LINK_EXPIRED');
    return link;
  }
}

function sealOf({ id, tenantId, approvalId, inputSha256, expiresAtMs, createdBy }: Link, secret: string): Uint8Array {
  return createHmac('sha256', secret)
    .update(JSON.stringify([id, tenantId, approvalId, inputSha256, expiresAtMs, createdBy]))
    .digest();
}
