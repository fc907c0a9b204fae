import { type LookupAddress, lookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { HiveError } from '@hivekeeper/contract';
import { z } from 'zod';

/** Which hosts a tool may reach. */
export const egressSchema = z.strictObject({
  /** `api.example.com`, or `*.example.com` for what lies below; every public host where absent. */
  allowed_hosts: z.array(z.string().min(1)).exactOptional(),
  /** True lets it reach loopback, the local network and the addresses of cloud metadata. */
  allow_private: z.boolean().default(false),
});
/** {@link egressSchema} */
export type Egress = z.infer<typeof egressSchema>;

// Everything that is not the public internet: IANA's registries of special-purpose addresses.
const notPublic = new BlockList();
for (const [net, bits] of [
  ...([
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['172.16.0.0', 12],
  ] as const),
  ...([
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
    ['192.88.99.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
  ] as const),
  ...([
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
  ] as const),
] as const)
  notPublic.addSubnet(net, bits, 'ipv4');
for (const [net, bits] of [
  ...([
    ['::', 96],
    ['64:ff9b::', 96],
    ['64:ff9b:1::', 48],
    ['100::', 64],
    ['2001::', 23],
    ['2001:db8::', 32],
  ] as const),
  ...([
    ['2002::', 16],
    ['fc00::', 7],
    ['fe80::', 10],
    ['fec0::', 10],
    ['ff00::', 8],
  ] as const),
] as const)
  notPublic.addSubnet(net, bits, 'ipv6');

/** True where the address belongs to the public internet, also where IPv4 is written as IPv6. */
export const isPublicAddress = (address: string): boolean => {
  const family = isIP(address);
  return family !== 0 && !notPublic.check(address, family === 6 ? 'ipv6' : 'ipv4');
};

/** Refuses hosts that are not allowed by name, or by an address that stands for itself. @throws HiveError TOOL_FAILED */
export function assertAllowedHost(url: URL, { allowed_hosts, allow_private }: Egress): void {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (allowed_hosts !== undefined && !allowed_hosts.some((allowed) => isHostAllowed(host, allowed.toLowerCase())))
    throw new HiveError('TOOL_FAILED', `the host ${host} is not among the allowed ones`);
  if (!allow_private && isIP(host) !== 0 && !isPublicAddress(host)) throw refused(host, host);
}

const isHostAllowed = (host: string, allowed: string): boolean =>
  allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) : host === allowed;

const refused = (host: string, address: string): HiveError =>
  new HiveError('TOOL_FAILED', `${host} is at ${address}, which is not on the public internet (allow_private)`);

/** A look-up that gives no private address: what is checked is what is connected to, so a name cannot change in between. */
export const guardedLookup =
  ({ allow_private }: Egress): LookupFunction =>
  (host, options, done) => {
    lookup(host, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
      if (error !== null) return done(error, '', 0);
      const bad = allow_private ? undefined : addresses.find(({ address }) => !isPublicAddress(address));
      if (bad !== undefined) return done(refused(host, bad.address), '', 0);
      const [first] = addresses;
      if (options.all === true || first === undefined) return done(null, addresses);
      done(null, first.address, first.family);
    });
  };
