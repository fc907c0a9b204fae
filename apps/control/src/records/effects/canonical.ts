import { hash } from 'node:crypto';
import { HiveError, type JsonValue } from '@hivekeeper/contract';
import canonicalize from 'canonicalize';

/** Longest canonical form of an effect's arguments. */
export const maxArgsBytes = 64 * 1024;

/**
 * SHA-256 of the canonical form (RFC 8785) of an effect's arguments: the same values give the same digest, however they
 * were written.
 * @throws HiveError INVALID_REQUEST where the arguments are too long, or hold a whole number that readers of JSON round:
 *   two different ones would be one effect
 */
export function argsSha256Of(args: JsonValue): string {
  const rounded = roundedIn(args);
  if (rounded !== undefined) throw refusal(rounded, 'whole numbers beyond 2^53 are rounded on the way: pass them as text');
  const canonical = canonicalize(args) ?? 'null';
  if (Buffer.byteLength(canonical) > maxArgsBytes) throw refusal('', `longer than ${maxArgsBytes} bytes: pass a reference to the data`);
  return hash('sha256', canonical);
}

const refusal = (path: string, message: string): HiveError =>
  new HiveError('INVALID_REQUEST', `args${path}: ${message}`, { issues: [{ path: `/args${path}`, message }] });

/** JSON pointer of the first number that may not be the one that was sent. */
function roundedIn(value: JsonValue): string | undefined {
  if (typeof value === 'number') return Number.isInteger(value) && !Number.isSafeInteger(value) ? '' : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const path = roundedIn(inner as JsonValue);
    if (path !== undefined) return `/${key.slice(0, 80).replaceAll('~', '~0').replaceAll('/', '~1')}${path}`;
  }
  return undefined;
}
