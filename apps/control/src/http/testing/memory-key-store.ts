import type { KeyStore } from '../../records/keys/index.ts';
import type { MemoryTables } from './memory-tables.ts';

/** {@link KeyStore} over the tables. */
export const memoryKeyStore = (tables: MemoryTables): KeyStore => ({
  find: async (sha256) => tables.keys.get(Buffer.from(sha256).toString('hex')),
  put: async ({ tenantId, name, role, keySha256 }) =>
    void tables.keys.set(Buffer.from(keySha256).toString('hex'), { tenantId, role, subject: `key:${name}` }),
});
