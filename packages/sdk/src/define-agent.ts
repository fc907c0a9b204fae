import { HiveError } from '@hivekeeper/contract/hive-error';
import type { z } from 'zod';
import { type AgentCall, type AgentSurroundings, ofThisProcess, reportProgress, runAgent } from './agent-process.ts';
import type { AgentContext } from './durable/context.ts';
import { durableContext } from './durable/durable-context.ts';
import { workerAt } from './durable/worker-socket.ts';

/** An agent whose code may wait, loop and act outside, and goes on after a crash where it was. */
export interface AgentDefinition<Input, Output> {
  /** As in `agent.json`. */
  readonly name: string;
  readonly version: string;
  readonly input: z.ZodType<Input>;
  readonly output?: z.ZodType<Output>;
  readonly run: (ctx: AgentContext, input: Input) => Output | Promise<Output>;
}

/** A definition that can be started; tests call its `run` with a context of their own. */
export interface DefinedAgent<Input, Output> extends AgentDefinition<Input, Output> {
  /** Runs the agent by the process contract, once. */
  start(surroundings?: AgentSurroundings): Promise<void>;
}

/**
 * Defines an agent: `await defineAgent({ … }).start()` is its whole entry.
 */
export function defineAgent<Input, Output>(definition: AgentDefinition<Input, Output>): DefinedAgent<Input, Output> {
  return {
    ...definition,
    start: (surroundings = ofThisProcess()) => {
      const worker = workerAt(surroundings.environment['HIVE_SOCKET']);
      const run = async (input: Input, { action }: AgentCall) =>
        checked(definition, await definition.run(durableContext(worker, { action, progress: reportProgress }), input));
      return runAgent(definition.input, run, surroundings);
    },
  };
}

function checked<Input, Output>({ name, version, output: schema }: AgentDefinition<Input, Output>, output: Output): Output {
  const result = schema?.safeParse(output);
  if (result === undefined || result.success) return result === undefined ? output : result.data;
  const faults = result.error.issues.map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`));
  throw new HiveError('AGENT_OUTPUT_SCHEMA', `${name} ${version} gave an output that breaks its own schema: ${faults.join('; ')}`);
}
