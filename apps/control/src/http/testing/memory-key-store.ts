import { HiveError, type KeyView } from '@hivekeeper/contract';
import { type KeyStore, nameIsTaken, type NewKey } from '../../records/keys/index.ts';
import type { MemoryTables } from './memory-tables.ts';

const hex = (keySha256: Uint8Array): string => Buffer.from(keySha256).toString('hex');

/** {@link KeyStore} over the tables. */
export function memoryKeyStore({ keys }: MemoryTables): KeyStore {
  const stored = () => [...keys.values()];
  const insert = ({ keySha256, tenantId, name, role, by }: NewKey): KeyView => {
    const view: KeyView = { id: `key_${keys.size}`, name, role, state: 'active', createdAtMs: 0, createdBy: by };
    keys.set(hex(keySha256), { tenantId, view });
    return view;
  };
  const found = (tenantId: string, id: string) => {
    const key = stored().find(({ view, ...each }) => each.tenantId === tenantId && view.id === id);
    if (key === undefined) throw new HiveError('NOT_FOUND', `there is no key ${id}`);
    return key;
  };
  return {
    find: async (keySha256) => {
      const key = keys.get(hex(keySha256));
      if (key === undefined || key.view.state === 'revoked') return undefined;
      const { id: keyId, name, role } = key.view;
      return { keyId, tenantId: key.tenantId, role, subject: `key:${name}` };
    },
    isKnown: async (keySha256) => keys.has(hex(keySha256)),
    add: async (key) => {
      const known = stored().find(({ view, tenantId }) => tenantId === key.tenantId && view.name === key.name && view.state === 'active');
      if (known !== undefined && key.endsEarlier !== true) throw nameIsTaken(key.name);
      if (known !== undefined) known.view = { ...known.view, state: 'revoked' };
      return insert(key);
    },
    replace: async ({ id, overlapMs: _, ...key }) => {
      const old = found(key.tenantId, id);
      old.view = { ...old.view, state: 'replaced' };
      return insert({ ...key, name: old.view.name, role: old.view.role });
    },
    revoke: async ({ tenantId, id }) => {
      const key = found(tenantId, id);
      return (key.view = { ...key.view, state: 'revoked' });
    },
    list: async (tenantId) => stored().flatMap((key) => (key.tenantId === tenantId ? [key.view] : [])),
    used: async () => {},
  };
}
