import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import type { CompensationTask, JsonObject, JsonValue, MemoEntry } from '@hivekeeper/contract';
import type { Command } from '../core/index.ts';
import { type End, type Fate, fateOf, memoOf } from './reference.ts';
import type { Tally } from './tally.ts';
import { actAt, type Answer, approvalMs, askedMs, defaultApprovalMs, gateOf, type SimulatedNode, slotCountOf } from './world.ts';

export type Issue = Extract<Command, { type: 'issue' }>;
export type Request = Extract<Command, { type: 'request-approval' }>;

/** What there is to know of a run before it begins. */
export interface Scene {
  readonly byId: ReadonlyMap<string, SimulatedNode>;
  /** Present in a run that undoes. */
  readonly undoing: readonly CompensationTask[] | undefined;
  /** Nodes that another run did. */
  readonly carried: ReadonlyMap<string, End>;
  readonly tally: Tally;
}

/** A node of the workflow. */
export function nodeOf({ byId }: Scene, id: string): SimulatedNode {
  const node = byId.get(id);
  ok(node !== undefined, `there is a node ${id}`);
  return node;
}

/** The execution that a ticket or an approval belongs to. Called agents have their path as their name. */
export function pathOf({ agent, nodeId, slot }: { readonly agent: string; readonly nodeId: string; readonly slot: number }): string {
  if (agent === 'agent') return `${nodeId}.${slot}`;
  return agent === 'undoer' ? `${nodeId}.undo` : agent;
}

/** A ticket says what its script says: to whom it goes, with what, how often, and what was waited for before. */
export function checkTicket(scene: Scene, issue: Issue): void {
  const { attempt, action, input, memo } = issue;
  const path = pathOf(issue);
  const [, slot, ...acts] = path.split('.');
  deepStrictEqual(ownPartOf(input), inputOf(scene, path), 'a ticket has the input of its slot');
  strictEqual(action, acts.length > 0 ? 'called' : slot === 'undo' ? 'undo' : 'do', 'a ticket is for the action that is wanted');
  ok(attempt <= fateOf(scene.byId, path).attempt, 'nothing is tried again after its end');
  deepStrictEqual(memo.map(fateOfEntry), memoOf(scene.byId, path, attempt), 'an agent finds in its memo what it waited for');
}

/** What a node, the agent that undoes it, or a called agent is given; of a node what {@link ownPartOf} keeps. */
function inputOf({ undoing }: Scene, path: string): JsonObject {
  const [id = '', slot, ...acts] = path.split('.');
  if (acts.length > 0) return { path };
  if (slot !== 'undo') return { own: id };
  const task = undoing?.find(({ nodeId }) => nodeId === id);
  return task !== undefined && 'input' in task ? task.input : {};
}

// What a node is given besides its own id depends on what was before it.
const ownPartOf = (input: JsonValue): JsonValue => {
  const own = typeof input === 'object' && input !== null && 'own' in input ? input['own'] : undefined;
  return own === undefined ? input : { own };
};

const fateOfEntry = ({ step, outcome }: MemoEntry): { step: string; fate: Fate } => ({
  step,
  fate: outcome.ok ? { output: outcome.output } : { code: outcome.error.code },
});

/**
 * An approval is asked for by whom the script says, about what they will be given, and for as long as was said. Gives
 * what the person who is asked will do. An agent that asks names its step in the message.
 */
export function checkRequest(scene: Scene, request: Request, nowMs: number): Answer {
  const { nodeId, agent, message, expiresAtMs, excludeRequester, input } = request;
  const node = nodeOf(scene, nodeId);
  const isOfNode = agent === 'agent' && message === undefined;
  const isOfWorkflow = isOfNode && gateOf(node, false) === 'none';
  const termMs = message !== undefined ? askedMs : isOfWorkflow ? approvalMs : defaultApprovalMs;
  strictEqual(expiresAtMs, nowMs + termMs, 'an approval may be given as long as was said');
  strictEqual(excludeRequester, isOfWorkflow, 'whoever started the run may decide, but where the workflow says otherwise');
  const wanted = message === undefined ? inputOf(scene, pathOf({ agent, nodeId, slot: 0 })) : { step: message };
  const isMapped = isOfNode && node.mapCount !== undefined;
  const all = isMapped ? Array.from({ length: slotCountOf(node) }, () => wanted) : wanted;
  const shown = Array.isArray(input) ? (input as JsonValue[]).map(ownPartOf) : ownPartOf(input);
  deepStrictEqual(shown, all, 'an approval shows what the agent will be given');
  const answer = message === undefined ? gateBefore(scene, request) : answerTo(scene, request, message);
  ok(answer !== undefined && answer !== 'none', 'only who was told to asks');
  return answer;
}

function gateBefore({ byId, undoing }: Scene, { agent, nodeId }: Request): Answer | 'none' | undefined {
  const called = actAt(byId, agent);
  if (typeof called === 'object') return called.waits === 'call' ? called.gate : undefined;
  const work = byId.get(nodeId)?.work;
  if (work?.kind !== 'agent') return undefined;
  return undoing === undefined ? work.gate : work.undoing?.gate;
}

function answerTo({ byId }: Scene, { agent, nodeId }: Request, step: string): Answer | undefined {
  const asker = step.slice(0, step.lastIndexOf('.'));
  strictEqual(pathOf({ agent, nodeId, slot: Number(asker.split('.')[1]) }), asker, 'an approval names the agent that asks');
  const act = actAt(byId, step);
  return typeof act === 'object' && act.waits === 'approval' ? act.answer : undefined;
}
