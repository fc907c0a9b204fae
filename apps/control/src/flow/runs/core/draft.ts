import type { ApprovalId, Failure, JsonObject, JsonValue, MemoEntry, Outcome, RunNotice, TicketId } from '@hivekeeper/contract';
import type { RunPlan } from './plan.ts';
import type { RunState } from './state.ts';
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
      /** So many attempts with this key may be under way at once. */
      readonly concurrency?: { readonly key: string; readonly limit: number } | undefined;
      readonly input: JsonObject;
      readonly memo: readonly MemoEntry[];
      readonly timeoutMs: number;
      readonly priority: number;
      readonly readyAtMs: number;
      /** The run is paused: nobody may be given the ticket yet. */
      readonly isHeld: boolean;
    }
  | { readonly type: 'revoke'; readonly ticketId: TicketId }
  /** Nobody may be given a ticket of the run that is ready, or they may again. */
  | { readonly type: 'hold' | 'free' }
  /** The run's ready tickets get the place that this priority gives them. */
  | { readonly type: 'rank'; readonly priority: number }
  | {
      readonly type: 'request-approval';
      readonly approvalId: ApprovalId;
      readonly nodeId: string;
      readonly agent: string;
      readonly action?: string | undefined;
      readonly message?: string | undefined;
      /** What the agent will be given; of a `map` node the array of it. */
      readonly input: JsonValue;
      readonly excludeRequester: boolean;
      readonly expiresAtMs: number;
    }
  | { readonly type: 'close-approval'; readonly approvalId: ApprovalId; readonly status: 'EXPIRED' | 'CANCELLED' }
  /** A slot begins to wait for an event that anybody may publish, or gives up. */
  | { readonly type: 'await-event'; readonly slotAt: number; readonly name: string; readonly key: string }
  | { readonly type: 'forget-event'; readonly slotAt: number }
  /** A ticket failed for good: its evidence is kept until somebody deals with it. */
  | {
      readonly type: 'bury';
      readonly ticketId: TicketId;
      readonly nodeId: string;
      readonly slot: number;
      readonly attempt: number;
      readonly agent: string;
      readonly action?: string | undefined;
      readonly input: JsonObject;
      readonly error: Failure;
    };

/** What deciding takes besides state and event. */
export interface RunRules {
  readonly plan: RunPlan;
  /** @throws HiveError TEMPLATE_UNRESOLVED; must give the same answer for the same arguments for ever. */
  readonly evaluate: Evaluate;
}

/** A node that shall start or be skipped, or a slot whose wait is over. */
export type Move =
  | { readonly move: 'start' | 'skip'; readonly node: number }
  | { readonly move: 'resume'; readonly node: number; readonly slotAt: number; readonly outcome: Outcome };

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

type ListName = 'nodes' | 'slots' | 'tickets' | 'approvals' | 'due' | 'signals' | 'signalIds' | 'listeners' | 'unknownEffects';

/** A state being changed: its lists are copies of its own, their elements are replaced and never changed. */
export interface Draft {
  readonly rules: RunRules;
  readonly run: Mutable<Omit<RunState, ListName>> & { readonly [Name in ListName]: RunState[Name][number][] };
  readonly commands: Command[];
  readonly notices: RunNotice[];
  /** What this event leads to, in this order: a queue instead of recursion, since chains may be 10,000 long. */
  readonly moves: Move[];
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
    signals: state.signals.slice(),
    signalIds: state.signalIds.slice(),
    listeners: state.listeners.slice(),
    unknownEffects: state.unknownEffects.slice(),
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
