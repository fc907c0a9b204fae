import type { JsonObject, JsonValue, LeasedTicket, Outcome } from '@hivekeeper/contract';
import { failed } from './failure.ts';
import type { SchemaCheck } from './schema.ts';

/** The capability a ticket's action names; none where the agent lists none or the ticket names no action. */
export type Capability = LeasedTicket['agent']['capabilities'][number];

/** What an output is held against. */
export interface OutputRules {
  readonly outputSchema?: JsonObject;
  /** An output may tell a failure, see the manifest. */
  readonly successFalseFails?: boolean;
}

/** What the manifest, and the capability that does the ticket, ask of outputs. */
export const rulesOf = ({ agent }: LeasedTicket, capability: Capability | undefined): OutputRules => ({
  ...(capability?.outputSchema !== undefined && { outputSchema: capability.outputSchema }),
  ...(agent.successFalseFails === true && { successFalseFails: true }),
});

/** What a document comes to that an agent gave as its output. */
export function judge(value: JsonValue, { outputSchema, successFalseFails }: OutputRules, check: SchemaCheck): Outcome {
  if (successFalseFails === true && isUnsuccessful(value))
    return failed('AGENT_FAILED', reasonIn(value), JSON.stringify(value).slice(0, 4_096));
  const breach = outputSchema === undefined ? undefined : check(outputSchema, value);
  return breach === undefined
    ? { ok: true, output: value }
    : failed('AGENT_OUTPUT_SCHEMA', `The output breaks its schema: ${breach}.`, JSON.stringify(value).slice(0, 4_096));
}

const isUnsuccessful = (output: JsonValue): output is JsonObject =>
  typeof output === 'object' && output !== null && 'success' in output && output['success'] === false;

function reasonIn({ error, message }: JsonObject): string {
  const told = [error, message].find((text) => typeof text === 'string' && text !== '');
  return typeof told === 'string' ? told : 'The output says "success": false.';
}
