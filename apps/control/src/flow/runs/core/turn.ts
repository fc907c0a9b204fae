import type { JsonObject, RunId, Turn } from '@hivekeeper/contract';
import type { RunRules } from './draft.ts';
import { asKey } from './nodes.ts';
import { resolveTemplate } from './templates/resolve.ts';

/**
 * What a run of this workflow takes its turn at; undefined where as many go at once as are started.
 * @throws HiveError TEMPLATE_UNRESOLVED where the context does not give the key
 */
export function turnOf(
  { plan, evaluate }: RunRules,
  { runId, context }: { readonly runId: RunId; readonly context: JsonObject },
): Turn | undefined {
  const { concurrency, name } = plan.definition;
  if (concurrency === undefined) return undefined;
  const { limit, overlap } = concurrency;
  // No node has run yet, and the check of the workflow lets none be named.
  const scope = { runId, context, evaluate, idOf: String, nodeAt: () => ({}) };
  const key = plan.turnKey === undefined ? name : asKey(resolveTemplate(plan.turnKey, scope));
  return { key, limit, ...(overlap !== 'queue' && { overlap }) };
}
