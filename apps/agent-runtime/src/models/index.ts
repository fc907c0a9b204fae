/** Language models: provider-model.ts asks one over HTTP · endpoint.ts whether it can be · simulated.ts none, but a script. */
import { HiveError } from '@hivekeeper/contract';
import type { Clock } from '@hivekeeper/kernel';
import type { LlmSection } from '../config/index.ts';
import type { Model } from '../task/index.ts';
import { providerModel } from './provider-model.ts';
import { simulatedModel } from './simulated.ts';

/** What models are made with. */
export interface ModelContext {
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** The model that a section names. @throws HiveError AGENT_NOT_READY where its key is not there */
export async function modelOf(section: LlmSection, { clock, environment }: ModelContext): Promise<Model> {
  const { provider, model, script = [], api_key_env } = section;
  if (provider === 'simulated') return simulatedModel(model, script, clock);
  const key = api_key_env === undefined ? undefined : environment[api_key_env];
  if (api_key_env !== undefined && !key) throw new HiveError('AGENT_NOT_READY', `the variable ${api_key_env} is not set`);
  return providerModel(section, key);
}
