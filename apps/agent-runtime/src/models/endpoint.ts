import { HiveError } from '@hivekeeper/contract';
import type { LlmSection } from '../config/index.ts';

/** Where a provider lists its models, which costs nothing. */
export interface Endpoint {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

const defaults: Readonly<Record<string, string>> = { openai: 'https://api.openai.com/v1', anthropic: 'https://api.anthropic.com/v1' };

export function endpointOf({ provider, base_url }: Pick<LlmSection, 'provider' | 'base_url'>, key: string | undefined): Endpoint {
  const base = (base_url ?? defaults[provider] ?? '').replace(/\/+$/, '');
  const headers =
    key === undefined
      ? {}
      : provider === 'anthropic'
        ? { 'x-api-key': key, 'anthropic-version': '2023-06-01' }
        : { authorization: `Bearer ${key}` };
  return { url: `${base}/models`, headers };
}

/**
 * Finds out whether the key is taken. A provider that is away for a moment is no reason not to start: tasks are tried
 * again, and say so.
 *
 * @throws HiveError AGENT_NOT_READY
 */
export async function assertReachable({ url, headers }: Endpoint, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, { headers, signal }).catch(() => undefined);
  await response?.body?.cancel();
  if (response?.status === 401 || response?.status === 403)
    throw new HiveError('AGENT_NOT_READY', `the provider at ${new URL(url).host} does not take the key (HTTP ${response.status})`);
}
