/** API keys, whom they stand for (keys.ts), and what these may do (roles.ts). */
export { type KeyCall, type KeyOwner, KeyRing, type KeyStore, nameIsTaken, type NewKey, type Principal } from './keys.ts';
export { may, type Permission, permissionsOf } from './roles.ts';
