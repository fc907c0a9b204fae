import { HiveError } from '@hivekeeper/contract';
import { retry } from '@hivekeeper/kernel';
import type { RoutingSection } from '../config/index.ts';
import { type Router, type RoutingDecision, type RoutingRequest, routingDecisionSchema } from '../task/index.ts';

type GatekeeperSection = NonNullable<RoutingSection['gatekeeper']>;

/** A refusal that another try may mend. */
class Passing extends HiveError {}

/** A router behind an HTTP address. Tried again where it answers 5xx or not at all; not where it is too slow or says nonsense. */
export const gatekeeper = ({ url, timeout_ms, retry_attempts }: GatekeeperSection, maxIterations: number): Router => ({
  maxIterations,
  choose: (request, signal) =>
    retry(() => ask(url, request, AbortSignal.any([signal, AbortSignal.timeout(timeout_ms)])), {
      ...{ maxAttempts: retry_attempts + 1, minDelayMs: 100, maxDelayMs: 5_000, signal },
      isRetryable: (error) => error instanceof Passing,
    }),
});

async function ask(url: string, request: RoutingRequest, signal: AbortSignal): Promise<RoutingDecision> {
  const body = JSON.stringify(request);
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'error' }).catch((cause: unknown) => {
    if (signal.aborted) throw new HiveError('ROUTING_FAILED', 'the gatekeeper took too long', { cause });
    throw new Passing('ROUTING_FAILED', 'the gatekeeper cannot be reached', { cause });
  });
  if (response.status >= 500) throw new Passing('ROUTING_FAILED', `the gatekeeper answers ${response.status}`);
  if (!response.ok) throw new HiveError('ROUTING_FAILED', `the gatekeeper answers ${response.status}`);
  const decision = routingDecisionSchema.safeParse(await response.json().catch(() => undefined));
  if (decision.success) return decision.data;
  throw new HiveError('ROUTING_FAILED', `the gatekeeper’s answer cannot be used: ${decision.error.issues[0]?.message ?? ''}`);
}
