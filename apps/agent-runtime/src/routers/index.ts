/** Who chooses the next agent of a workflow: gatekeeper.ts asks an HTTP address, llm-router.ts a model. */
import type { RoutingSection } from '../config/index.ts';
import type { ModelContext } from '../models/index.ts';
import { modelOf } from '../models/index.ts';
import type { Router } from '../task/index.ts';
import { gatekeeper } from './gatekeeper.ts';
import { llmRouter } from './llm-router.ts';

/** The router that the section names. @throws HiveError AGENT_NOT_READY */
export async function routerOf(section: RoutingSection, context: ModelContext): Promise<Router> {
  const { strategy, max_iterations, llm, gatekeeper: gate } = section;
  if (strategy === 'gatekeeper' && gate !== undefined) return gatekeeper(gate, max_iterations);
  // The file was checked: the section that the strategy names is there.
  return llmRouter(await modelOf(llm as NonNullable<typeof llm>, context), max_iterations);
}
