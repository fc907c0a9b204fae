import { type AgentSpec, HiveError, type LeasedTicket, type Outcome } from '@hivekeeper/contract';
import type { ExecuteTicket, Execution, ExecutionHooks, Finished } from './execution.ts';
import { failed } from './failure.ts';
import { type Capability, type OutputRules, rulesOf } from './judge.ts';
import { newSchemaCheck, type SchemaCheck } from './schema.ts';

/** A ticket whose input is as its agent wants it. */
export interface Task {
  readonly ticket: LeasedTicket;
  readonly rules: OutputRules;
  readonly check: SchemaCheck;
}

/** Executes tickets of agents of one kind. @throws HiveError where nothing of the agent was begun */
export type ExecuteKind = (task: Task, hooks: ExecutionHooks) => Promise<Execution>;

/** The kinds of agents that a worker may know. */
export type Kind = AgentSpec['kind'];

/** Executes a ticket in the way of its agent's kind, once its input was found to fit. */
export function newExecutor(kinds: Readonly<Partial<Record<Kind, ExecuteKind>>>): ExecuteTicket {
  const check = newSchemaCheck();
  return async (ticket, hooks) => {
    try {
      return await execute(taskOf(ticket, check), kinds, hooks);
    } catch (error) {
      if (HiveError.is(error)) return { kind: 'finished', ...notStarted(failed(error.code, error.message)) };
      hooks.log.error({ err: error }, 'the agent could not be run');
      return { kind: 'finished', outcome: failed('INTERNAL', error instanceof Error ? error.message : String(error)) };
    }
  };
}

async function execute(task: Task, kinds: Readonly<Partial<Record<Kind, ExecuteKind>>>, hooks: ExecutionHooks): Promise<Execution> {
  const { name, kind } = task.ticket.agent;
  const executeKind = kinds[kind];
  if (executeKind === undefined)
    throw new HiveError('AGENT_NOT_RUNNABLE', `${name} is of the kind ${kind}; this worker runs ${Object.keys(kinds).join(', ')}`);
  return executeKind(task, hooks);
}

/** @throws HiveError AGENT_UNKNOWN_ACTION, AGENT_INPUT_SCHEMA */
function taskOf(ticket: LeasedTicket, check: SchemaCheck): Task {
  const capability = capabilityOf(ticket);
  const breach = capability?.inputSchema === undefined ? undefined : check(capability.inputSchema, ticket.input);
  if (breach !== undefined) throw new HiveError('AGENT_INPUT_SCHEMA', `The input breaks the schema of ${ticket.agent.name}: ${breach}.`);
  return { ticket, rules: rulesOf(ticket, capability), check };
}

const notStarted = (outcome: Outcome): Finished => ({ outcome, costMicroUsd: 0 });

function capabilityOf({ agent, action }: LeasedTicket): Capability | undefined {
  if (action === undefined || agent.capabilities.length === 0) return undefined;
  const capability = agent.capabilities.find(({ name }) => name === action);
  if (capability === undefined)
    throw new HiveError(
      'AGENT_UNKNOWN_ACTION',
      `${agent.name} has no action "${action}"; it has ${agent.capabilities.map(({ name }) => name).join(', ')}`,
    );
  return capability;
}
