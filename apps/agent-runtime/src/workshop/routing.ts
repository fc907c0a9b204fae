import { HiveError } from '@hivekeeper/contract';
import type { EnvelopeV2 } from '@hivekeeper/contract/agent2389';
import type { Clock, Random } from '@hivekeeper/kernel';
import { v4 } from './uuid.ts';
import {
  type Answer,
  type Neighbour,
  type Router,
  addresseeOf,
  errorAnswer,
  responseAnswer,
  routed,
  routingRequest,
} from '../task/index.ts';

/** What routing needs. */
export interface RoutingOptions {
  readonly agentId: string;
  readonly router: Router;
  readonly neighbours: () => readonly Neighbour[];
  readonly clock: Clock;
  readonly random: Random;
}

/** Lets a router choose who goes on with a workflow, when this agent has done its part. */
export class Routing {
  readonly #options: RoutingOptions;

  constructor(options: RoutingOptions) {
    this.#options = options;
  }

  /** The one answer that follows. Never throws but for `stopped`: where no decision can be had, that is the answer. */
  async route(envelope: EnvelopeV2, text: string, stopped: AbortSignal): Promise<Answer> {
    const { agentId, router, neighbours, clock, random } = this.#options;
    const standing = { agentId, envelope, text, neighbours: neighbours() };
    const request = routingRequest(standing, router.maxIterations);
    if (request === undefined) return responseAnswer(agentId, envelope, text);
    try {
      const decision = await router.choose(request, stopped);
      return routed(standing, decision, { taskId: v4(random), timestamp: new Date(clock.nowMs()).toISOString() });
    } catch (error) {
      stopped.throwIfAborted();
      const code = HiveError.is(error) && error.code === 'MODEL_FAILED' ? 'llm_error' : 'internal_error';
      return errorAnswer(agentId, addresseeOf(envelope), { code, message: error instanceof Error ? error.message : String(error) });
    }
  }
}
