import { BlockList, isIP } from 'node:net';

// What IANA's registries of special-purpose addresses take out of the public internet.
const specialIpv4 = [
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24',
  '192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4',
].join(' ');
const specialIpv6 = '2001::/23 2001:db8::/32 2002::/16 3fff::/20';
// All of IPv6 that is given to networks. What lies outside is private, unassigned, or an IPv4 address in other clothes.
const globalIpv6 = '2000::/3';

const special = listOf([specialIpv4, 'ipv4'], [specialIpv6, 'ipv6']);
const global = listOf([globalIpv6, 'ipv6']);

function listOf(...nets: readonly (readonly [string, 'ipv4' | 'ipv6'])[]): BlockList {
  const list = new BlockList();
  for (const [text, family] of nets)
    for (const net of text.split(' ')) {
      const [address = '', bits] = net.split('/');
      list.addSubnet(address, Number(bits), family);
    }
  return list;
}

/** True where the address belongs to the public internet. IPv4 that is written as IPv6 does not: nobody is reached by it from outside. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !special.check(address, 'ipv4');
    case 6:
      return global.check(address, 'ipv6') && !special.check(address, 'ipv6');
    default:
      return false;
  }
}
