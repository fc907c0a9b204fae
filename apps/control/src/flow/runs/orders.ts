import {
  type ApprovalId,
  type ApprovalView,
  type EffectId,
  type EventId,
  HiveError,
  isTerminal,
  type JsonValue,
  type RunEvent,
  type RunId,
  runIdOfApproval,
  type TenantId,
} from '@hivekeeper/contract';
import { awaitsEvent, eventPrefix, maxSignalsPerRun, type RunState, runStatusOf } from './core/index.ts';
import type { RunLane } from './lane.ts';
import type { RunStore } from './run-store.ts';

/** Which run, who says so, and why. */
export interface Order {
  readonly tenantId: TenantId;
  readonly runId: RunId;
  readonly by: string;
  readonly reason?: string | undefined;
}

/** What a person decided of an approval. */
export interface Decision {
  readonly tenantId: TenantId;
  readonly approvalId: ApprovalId;
  readonly approved: boolean;
  /** As whom it is recorded. */
  readonly by: string;
  /** The authenticated subject that answers for it, where it is recorded as somebody else. */
  readonly subject?: string | undefined;
  readonly notes?: string | undefined;
  /** The input that was looked at; refused where another one waits. */
  readonly inputSha256?: string | undefined;
  /** The same answer by the same person again is refused too. */
  readonly isOneTime?: boolean | undefined;
}

/** Something that a run may wait for. */
export interface SignalOrder extends Omit<Order, 'reason'> {
  /** The same id again is no news; without one it is news each time. */
  readonly signalId?: string | undefined;
  readonly name: string;
  readonly key?: string | undefined;
  readonly payload: JsonValue;
}

/** Events that a slot of a run may get, the oldest first. */
export interface EventOffer {
  readonly runId: RunId;
  readonly slotAt: number;
  readonly events: readonly {
    readonly id: EventId;
    readonly type: string;
    readonly key?: string | undefined;
    readonly payload: JsonValue;
    readonly by: string;
  }[];
}

/**
 * What people and programs may order of a run. Each call returns once its effect is stored, is audited, and is no news
 * where it is so already.
 */
export class RunOrders {
  readonly #store: RunStore;
  readonly #lane: RunLane;
  readonly #newSignalId: () => string;

  constructor(options: { readonly store: RunStore; readonly lane: RunLane; readonly newSignalId: () => string }) {
    this.#store = options.store;
    this.#lane = options.lane;
    this.#newSignalId = options.newSignalId;
  }

  /** Cancels a run: terminal at once. @throws HiveError NOT_FOUND, RUN_FINISHED. */
  cancel(order: Order): Promise<void> {
    return this.#give(order, (state, said) =>
      runStatusOf(state) === 'CANCELLED' ? undefined : { ...mustLive(state, said), type: 'run.cancelled' },
    );
  }

  /** Hands out no ticket of the run until it is resumed; what is at work goes on. @throws HiveError NOT_FOUND, RUN_FINISHED. */
  pause(order: Order): Promise<void> {
    return this.#give(order, (state, said) => {
      const event = { ...mustLive(state, said), type: 'run.paused' } as const;
      return state.pause === undefined ? event : undefined;
    });
  }

  /** Ends a pause. @throws HiveError NOT_FOUND, RUN_FINISHED. */
  resume(order: Order): Promise<void> {
    return this.#give(order, (state, said) => {
      const event = { ...mustLive(state, said), type: 'run.resumed' } as const;
      return state.pause === undefined ? undefined : event;
    });
  }

  /** Gives a run another priority; larger is sooner. @throws HiveError NOT_FOUND, RUN_FINISHED. */
  reprioritise(order: Order & { readonly priority: number }): Promise<void> {
    return this.#give(order, (state, said) => {
      const event = { ...mustLive(state, said), type: 'run.reprioritised', priority: order.priority } as const;
      return state.priority === order.priority ? undefined : event;
    });
  }

  /**
   * Gives a run a signal: to the node that waits for it, else to the one that will. Counts once per signal id.
   * @throws HiveError NOT_FOUND, RUN_FINISHED, SIGNALS_TOO_MANY
   */
  signal({ signalId = this.#newSignalId(), name, key, payload, ...order }: SignalOrder): Promise<void> {
    return this.#give(order, (state, { atMs, by }) => {
      if (state.signalIds.includes(signalId)) return undefined;
      if (state.signalIds.length >= maxSignalsPerRun) throw new HiveError('SIGNALS_TOO_MANY');
      return { ...mustLive(state, { atMs, by }), type: 'signal.received', signalId, name, payload, ...(key !== undefined && { key }) };
    });
  }

  /**
   * Gives a slot that waits for an event the first of these that its run has not had; false where the run has had them
   * all and the slot still waits. @throws HiveError SIGNALS_TOO_MANY
   */
  async offerEvents({ runId, slotAt, events }: EventOffer): Promise<boolean> {
    const found = { hadAll: false };
    await this.#lane.submit({
      runId,
      actor: 'platform',
      judge: (state, atMs) => {
        const had = new Set(state.signalIds);
        const event = events.find(({ id }) => !had.has(id));
        const isAwaited = awaitsEvent(state, slotAt, event ?? events[0]);
        found.hadAll = isAwaited && event === undefined;
        if (event === undefined || !isAwaited) return undefined;
        if (had.size >= maxSignalsPerRun) throw new HiveError('SIGNALS_TOO_MANY');
        const { id, type, key, payload, by } = event;
        return {
          type: 'signal.received',
          atMs,
          signalId: id,
          name: `${eventPrefix}${type}`,
          payload,
          by,
          ...(key !== undefined && { key }),
        };
      },
    });
    return !found.hadAll;
  }

  /** Starts an agent again that waits for what became of an effect. Does nothing where none does. @throws HiveError NOT_FOUND. */
  effectResolved({ effectId, ...order }: Order & { readonly effectId: EffectId }): Promise<void> {
    return this.#give(order, (state, { atMs, by }) =>
      isTerminal(runStatusOf(state)) ? undefined : { type: 'effect.resolved', atMs, effectId, by },
    );
  }

  /**
   * Decides an approval. The same answer by the same person again is no news.
   * @throws HiveError NOT_FOUND, APPROVAL_ALREADY_DECIDED, APPROVAL_INPUT_CHANGED, APPROVER_NOT_ALLOWED
   */
  async decideApproval(decision: Decision): Promise<void> {
    const { approvalId, approved, by, notes } = decision;
    await this.#judge(decision, (asked, approval, atMs) => {
      if (!decision.isOneTime && asked?.decided?.approved === approved && asked.decided.by === by) return undefined;
      mustBeOpenTo(decision, asked, { approval, atMs });
      return { type: 'approval.decided', atMs, approvalId, approved, by, ...(notes !== undefined && { notes }) };
    });
  }

  /** Does nothing where the subject may decide the approval now. @throws HiveError as {@link decideApproval} would. */
  mayDecide(question: Omit<Decision, 'approved' | 'notes' | 'isOneTime'>): Promise<void> {
    return this.#judge(question, (asked, approval, atMs) => void mustBeOpenTo(question, asked, { approval, atMs }));
  }

  async #judge(
    { tenantId, approvalId, by, inputSha256 }: Pick<Decision, 'tenantId' | 'approvalId' | 'by' | 'inputSha256'>,
    judge: (asked: Asked | undefined, approval: ApprovalView, atMs: number) => RunEvent | undefined,
  ): Promise<void> {
    const approval = await this.#store.approval(tenantId, approvalId);
    if (approval === undefined) throw new HiveError('NOT_FOUND', `there is no approval ${approvalId}`);
    if (inputSha256 !== undefined && inputSha256 !== approval.inputSha256)
      throw new HiveError('APPROVAL_INPUT_CHANGED', `the approval is about the input with SHA-256 ${approval.inputSha256}`);
    await this.#lane.submit({
      runId: runIdOfApproval(approvalId),
      actor: by,
      judge: ({ approvals, startedBy }, atMs) => {
        const asked = approvals.find((other) => other.approvalId === approvalId);
        return judge(asked && { ...asked, startedBy }, approval, atMs);
      },
    });
  }

  async #give({ tenantId, runId, by, reason }: Order, judge: (state: RunState, said: Said) => RunEvent | undefined): Promise<void> {
    if ((await this.#store.summary(tenantId, runId)) === undefined) throw new HiveError('NOT_FOUND', `there is no run ${runId}`);
    await this.#lane.submit({
      runId,
      actor: by,
      judge: (state, atMs) => judge(state, { atMs, by, ...(reason !== undefined && { reason }) }),
    });
  }
}

interface Said {
  readonly atMs: number;
  readonly by: string;
  readonly reason?: string;
}

function mustLive(state: RunState, said: Said): Said {
  const status = runStatusOf(state);
  if (isTerminal(status)) throw new HiveError('RUN_FINISHED', `the run is ${status}`);
  return said;
}

type Asked = RunState['approvals'][number] & Pick<RunState, 'startedBy'>;

/** One whose time is over is no longer open, also where nobody has noticed yet. */
function mustBeOpenTo(
  { by, subject = by }: Pick<Decision, 'by' | 'subject'>,
  asked: Asked | undefined,
  { approval, atMs }: { readonly approval: ApprovalView; readonly atMs: number },
): void {
  if (asked?.isPending !== true) throw new HiveError('APPROVAL_ALREADY_DECIDED', whatBecameOf(approval));
  if (asked.expiresAtMs <= atMs) throw new HiveError('APPROVAL_ALREADY_DECIDED', 'the approval expired before it was decided');
  if (/^(worker|agent):/.test(subject)) throw new HiveError('APPROVER_NOT_ALLOWED', `${subject} is no person`);
  if (asked.excludeRequester && asked.startedBy === subject) throw new HiveError('APPROVER_NOT_ALLOWED', `${subject} started the run`);
}

function whatBecameOf({ status, respondedBy }: ApprovalView): string {
  if (status === 'PENDING') return 'the approval is no longer pending';
  return respondedBy === undefined ? `the approval is ${status}` : `the approval is ${status}, said ${respondedBy}`;
}
