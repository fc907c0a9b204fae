/** API keys and whom they stand for. */
export { KeyRing, type KeyStore, type Principal, type Role } from './keys.ts';
