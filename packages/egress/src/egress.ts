import { type LookupAddress, lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { z } from 'zod';
import { EgressFault } from './egress-fault.ts';
import { isPublicAddress } from './public-address.ts';

/** Which hosts may be reached. */
export const egressSchema = z.strictObject({
  /** `api.example.com`, or `*.example.com` for what lies below; every public host where absent. */
  allowed_hosts: z.array(z.string().min(1)).exactOptional(),
  /** True lets it reach loopback, the local network and the addresses of cloud metadata. */
  allow_private: z.boolean().default(false),
});
/** {@link egressSchema} */
export type Egress = z.infer<typeof egressSchema>;

/** Refuses hosts that are not allowed by name, or by an address that stands for itself. @throws EgressFault */
export function assertAllowedHost(url: URL, { allowed_hosts, allow_private }: Egress): void {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (allowed_hosts !== undefined && !allowed_hosts.some((allowed) => isHostAllowed(host, allowed.toLowerCase())))
    throw new EgressFault('refused', `the host ${host} is not among the allowed ones`);
  if (!allow_private && isIP(host) !== 0 && !isPublicAddress(host)) throw notPublic(host, host);
}

const isHostAllowed = (host: string, allowed: string): boolean =>
  allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) : host === allowed;

const notPublic = (host: string, address: string): EgressFault =>
  new EgressFault('refused', `${host} is at ${address}, which is not on the public internet (allow_private)`);

/** A look-up that gives no private address: what is checked is what is connected to, so a name cannot change in between. */
export const guardedLookup =
  ({ allow_private }: Egress): LookupFunction =>
  (host, options, done) => {
    lookup(host, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return done(error, '', 0);
      const bad = allow_private ? undefined : addresses.find(({ address }) => !isPublicAddress(address));
      if (bad !== undefined) return done(notPublic(host, bad.address), '', 0);
      const [first] = addresses;
      if (options.all === true || first === undefined) return done(null, addresses);
      done(null, first.address, first.family);
    });
  };
