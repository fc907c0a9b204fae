import type { KeyRole } from '@hivekeeper/contract';

/** What a call needs. `worker` is what workers do with tickets, `instance` what agents say of themselves, `model` calls of models. */
export type Permission = 'read' | 'operate' | 'approve' | 'administer' | 'publish' | 'worker' | 'instance' | 'model';

/** What keys may do. Nobody but an admin changes what may run, what may be spent, and who may do what; no program approves. */
export const permissionsOf: Readonly<Record<KeyRole, readonly Permission[]>> = {
  viewer: ['read'],
  operator: ['read', 'operate', 'publish'],
  approver: ['read', 'approve'],
  admin: ['read', 'operate', 'approve', 'administer', 'publish', 'worker', 'instance', 'model'],
  worker: ['worker', 'instance'],
  agent: ['instance', 'model'],
  webhook: ['publish'],
};

/** Whether keys of the role may make a call that needs the permission. */
export const may = (role: KeyRole, permission: Permission): boolean => permissionsOf[role].includes(permission);
