import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';

/** SHA-256 of the canonical form (RFC 8785) of JSON: the same values give the same digest, in whatever order keys were written. */
export const digestOf = (value: unknown): string => hash('sha256', canonicalize(value) ?? 'null');
