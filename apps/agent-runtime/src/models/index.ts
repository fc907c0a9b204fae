/** Language models: simulated.ts none, but a script. */
import type { Clock } from '@hivekeeper/kernel';
import type { LlmSection } from '../config/index.ts';
import type { Model } from '../task/index.ts';
import { simulatedModel } from './simulated.ts';

/** The model that a section names. */
export async function modelOf({ model, script = [] }: LlmSection, { clock }: { readonly clock: Clock }): Promise<Model> {
  return simulatedModel(model, script, clock);
}
