import type { LeasedTicket, Outcome } from '@hivekeeper/contract';
import { failed } from './failure.ts';

/** What an agent says of its own failure, and which of its dependencies it blames. */
export interface Told {
  readonly message: string;
  readonly dependency?: string | undefined;
}

/** The failure that an agent told. What its manifest does not name as a dependency is a word like any other. */
export function toldFailure(
  { message, dependency }: Told,
  dependsOn: LeasedTicket['agent']['dependsOn'] = {},
  excerpt?: string,
): Outcome & { readonly ok: false } {
  if (dependency === undefined || !Object.hasOwn(dependsOn, dependency)) return failed('AGENT_FAILED', message, excerpt);
  const { error } = failed('DEPENDENCY_FAILED', `${dependency}: ${message}`, excerpt);
  return { ok: false, error: { ...error, dependency } };
}
