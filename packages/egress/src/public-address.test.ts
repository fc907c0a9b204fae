import { expect, it } from 'vitest';
import { isPublicAddress } from './public-address.ts';

it.each(['8.8.8.8', '1.1.1.1', '2606:4700::1111', '2a00:1450:4001::1'])('%s is on the public internet', (address) =>
  expect(isPublicAddress(address)).toBe(true),
);

it.each([
  ...['192.168.1.1', '100.64.0.1', '127.9.9.9', '169.254.169.254', '0.0.0.0', '255.255.255.255', '192.88.99.1'],
  ...[
    '::1',
    '::',
    'fd00::1',
    'fe80::1',
    'fec0::1',
    'ff02::1',
    '100::1',
    '5f00::1',
    '3fff::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '2001:0:7f00::',
  ],
  ...['::ffff:10.0.0.1', '::ffff:7f00:1', '::ffff:0:7f00:1', '::7f00:1', '64:ff9b::a00:1', '64:ff9b:1::1', '4000::1'],
  ...['nonsense', '', '127.1', 'fe80::1%eth0'],
])('%j is not', (address) => expect(isPublicAddress(address)).toBe(false));
