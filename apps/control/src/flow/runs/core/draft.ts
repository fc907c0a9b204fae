import type { ApprovalId, JsonObject, JsonValue, RunNotice, TicketId } from '@hivekeeper/contract';
import type { Due } from './due.ts';
import type { RunPlan } from './plan.ts';
import type { Approval, NodeState, RunState, SlotState, Ticket } from './state.ts';
import type { Evaluate } from './templates/resolve.ts';

/** What the core asks of the world; whoever folds the event stores them in the same transaction. */
export type Command =
  | {
      readonly type: 'issue';
      readonly ticketId: TicketId;
      readonly nodeId: string;
      readonly slot: number;
      readonly attempt: number;
      readonly agent: string;
      readonly action?: string | undefined;
      readonly requires?: readonly string[] | undefined;
      readonly input: JsonObject;
      readonly timeoutMs: number;
      readonly priority: number;
      readonly readyAtMs: number;
    }
  | { readonly type: 'revoke'; readonly ticketId: TicketId }
  | {
      readonly type: 'request-approval';
      readonly approvalId: ApprovalId;
      readonly nodeId: string;
      readonly agent: string;
      readonly action?: string | undefined;
      readonly message?: string | undefined;
      /** What the agent will be given; of a `map` node the array of it. */
      readonly input: JsonValue;
      readonly expiresAtMs: number;
    }
  | { readonly type: 'close-approval'; readonly approvalId: ApprovalId; readonly status: 'EXPIRED' | 'CANCELLED' };

/** What deciding takes besides state and event. */
export interface RunRules {
  readonly plan: RunPlan;
  /** @throws HiveError TEMPLATE_UNRESOLVED; must give the same answer for the same arguments for ever. */
  readonly evaluate: Evaluate;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** A state being changed: its lists are copies of its own, their elements are replaced and never changed. */
export interface Draft {
  readonly rules: RunRules;
  readonly run: Mutable<Omit<RunState, 'nodes' | 'slots' | 'tickets' | 'approvals' | 'due'>> & {
    readonly nodes: NodeState[];
    readonly slots: SlotState[];
    readonly tickets: Ticket[];
    readonly approvals: Approval[];
    readonly due: Due[];
  };
  readonly commands: Command[];
  readonly notices: RunNotice[];
  /** Nodes that shall start or be skipped, in this order: a queue instead of recursion, since chains may be 10,000 long. */
  readonly moves: { readonly node: number; readonly move: 'start' | 'skip' }[];
  /** The time of the event being folded. */
  atMs: number;
}

/** The one copy a fold makes, however many events it folds. */
export const openDraft = (state: RunState, rules: RunRules): Draft => ({
  rules,
  run: {
    ...state,
    nodes: state.nodes.slice(),
    slots: state.slots.slice(),
    tickets: state.tickets.slice(),
    approvals: state.approvals.slice(),
    due: state.due.slice(),
  },
  commands: [],
  notices: [],
  moves: [],
  atMs: 0,
});

/** Reads an element that the state's own bookkeeping says is there. */
export const at = <T>(list: readonly T[], index: number): T => list[index] as T;

/** The id of the node at a position. */
export const nodeIdAt = ({ rules }: Draft, node: number): string => at(rules.plan.nodes, node).definition.id;
