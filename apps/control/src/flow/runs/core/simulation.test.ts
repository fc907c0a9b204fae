/**
 * Random workflows in random worlds: results in any order, late, repeated and unknown ones, losses, early and late
 * wake-ups, cancels, deadlines. However the events interleave, every node must end as an interpreter says that knows
 * nothing of events, and at every step the invariants below must hold.
 */
import type { ApprovalId, Blocker, JsonObject, JsonValue, NodeStatus, RunEvent, TicketId, WorkflowInput } from '@hivekeeper/contract';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { blockerOf, type Command, errorOf, fold, initialState, nodeViewsOf, runStatusOf, wakeAtOf } from './index.ts';
import { RunUnderTest, testRunId } from './run-under-test.ts';

type Attempt = 'ok' | 'fail' | 'time-out' | 'fail for good' | 'lose';
interface SimulatedNode {
  readonly id: string;
  readonly needs: readonly string[];
  readonly when: 'always' | 'never' | 'if the first need succeeded';
  /** Elements to map over; undefined for a plain node. */
  readonly mapCount: number | 'no array' | undefined;
  readonly isBroken: boolean;
  readonly approval: 'none' | 'approve' | 'reject' | 'expire';
  readonly onFailure: 'fail' | 'continue' | 'fallback';
  readonly maxAttempts: number;
  readonly backoffMs: number;
  /** What the attempts of each slot come to; `ok` once the list is used up. */
  readonly scripts: readonly (readonly Attempt[])[];
}
interface World {
  readonly nodes: readonly SimulatedNode[];
  readonly end: 'none' | 'cancel' | 'deadline';
  readonly seed: number;
}

// The reference: the end of every node from its definition and its script, without any notion of time.
const isFailure = (status: NodeStatus) => status === 'FAILED' || status === 'TIMED_OUT';

function endOfSlot({ maxAttempts }: SimulatedNode, script: readonly Attempt[]): NodeStatus {
  let [failures, losses] = [0, 0];
  for (const attempt of script) {
    if (attempt === 'ok') return 'SUCCESS';
    if (attempt === 'lose') losses += 1;
    else failures += 1;
    if (losses === 5 || attempt === 'fail for good') return 'FAILED';
    if (failures === maxAttempts) return attempt === 'time-out' ? 'TIMED_OUT' : 'FAILED';
  }
  return 'SUCCESS';
}

/** More than one possible end only where several slots of one node fail: whichever is first gives its status to the node. */
function endsOf(
  node: SimulatedNode,
  endsById: ReadonlyMap<string, readonly NodeStatus[]>,
  byId: ReadonlyMap<string, SimulatedNode>,
): readonly NodeStatus[] {
  const hasEnded = (id: string, isWanted: (status: NodeStatus) => boolean) => endsById.get(id)?.every(isWanted) === true;
  const isSatisfied = (id: string) =>
    hasEnded(id, (status) => status === 'SUCCESS' || (isFailure(status) && byId.get(id)?.onFailure !== 'fail'));
  if (!node.needs.every(isSatisfied) || node.when === 'never') return ['SKIPPED'];
  const [first] = node.needs;
  if (node.when === 'if the first need succeeded' && first !== undefined && !hasEnded(first, (status) => status === 'SUCCESS'))
    return ['SKIPPED'];
  if (node.mapCount === 'no array') return ['FAILED'];
  if (node.mapCount === 0) return ['SUCCESS'];
  if (node.isBroken || !['none', 'approve'].includes(node.approval)) return ['FAILED'];
  const failed = node.scripts
    .slice(0, node.mapCount ?? 1)
    .map((script) => endOfSlot(node, script))
    .filter(isFailure);
  return failed.length === 0 ? ['SUCCESS'] : failed;
}

function endsOfAll(nodes: readonly SimulatedNode[]): ReadonlyMap<string, readonly NodeStatus[]> {
  const endsById = new Map<string, readonly NodeStatus[]>();
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (const node of nodes) endsById.set(node.id, endsOf(node, endsById, byId));
  return endsById;
}

const workflowOf = (nodes: readonly SimulatedNode[]): WorkflowInput => ({
  name: 'simulated',
  nodes: nodes.map(({ id, needs, when, mapCount, isBroken, approval, onFailure, maxAttempts, backoffMs }) => ({
    id,
    agent: 'agent',
    needs: [...needs],
    input: {
      own: id,
      ...(isBroken && { broken: '{{ context.missing }}' }),
      ...(needs[0] !== undefined && { before: `{{ ${needs[0]}.output }}` }),
    },
    ...(when === 'never' && { when: 'false' }),
    ...(when === 'if the first need succeeded' && needs[0] !== undefined && { when: `${needs[0]}.status == "SUCCESS"` }),
    ...(mapCount !== undefined && { map: `{{ context.lists[${mapCount === 'no array' ? 4 : mapCount}] }}` }),
    approval: approval !== 'none' && { expiresAfterMs: 10_000 },
    onFailure,
    ...(onFailure === 'fallback' && { fallbackOutput: 'instead' }),
    retry: { maxAttempts, backoffMs },
  })),
});

// The two expressions that these workflows use.
function evaluate(expression: string, scope: JsonObject): JsonValue {
  const [id] = expression.split('.');
  return expression !== 'false' && (scope[id ?? ''] as JsonObject)['status'] === 'SUCCESS';
}

/** What took effect over all schedules: a simulation that stopped injecting faults would prove nothing. */
const tally = {
  schedules: 0,
  issued: 0,
  lost: 0,
  retried: 0,
  noise: 0,
  approved: 0,
  refused: 0,
  stopped: 0,
  failedRuns: 0,
  goodRuns: 0,
  skipped: 0,
  mapped: 0,
};

/** Plays one world to its end, checking each step. */
class Play {
  readonly run: RunUnderTest;
  readonly live = new Map<TicketId, Extract<Command, { type: 'issue' }>>();
  readonly pending = new Map<ApprovalId, { readonly nodeId: string; readonly expiresAtMs: number }>();
  readonly byId: ReadonlyMap<string, SimulatedNode>;
  readonly attempts = new Map<string, number>();
  readonly started = new Set<string>();
  readonly world: World;
  #random: number;

  constructor(world: World) {
    this.world = world;
    this.#random = world.seed;
    this.byId = new Map(world.nodes.map((node) => [node.id, node]));
    this.run = new RunUnderTest(workflowOf(world.nodes), evaluate);
  }

  /** A whole number in [0, below). */
  pick(below: number): number {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#random / 2 ** 32) * below);
  }

  send(event: RunEvent): void {
    const noticesBefore = this.run.notices.length;
    const commands = this.run.send(event);
    for (const command of commands) this.obey(command);
    for (const notice of this.run.notices.slice(noticesBefore)) {
      if (notice.type !== 'node.started') continue;
      expect(this.started.has(notice.nodeId), 'no node starts twice').toBe(false);
      this.started.add(notice.nodeId);
    }
    this.checkStep();
  }

  obey(command: Command): void {
    switch (command.type) {
      case 'issue':
        this.checkIssue(command);
        this.live.set(command.ticketId, command);
        tally.issued += 1;
        return;
      case 'revoke':
        expect(this.live.delete(command.ticketId), 'only a live ticket is revoked').toBe(true);
        return;
      case 'request-approval':
        this.pending.set(command.approvalId, command);
        return;
      case 'close-approval':
        expect(this.pending.delete(command.approvalId), 'only a pending approval is closed').toBe(true);
    }
  }

  checkIssue({ nodeId, slot, attempt }: Extract<Command, { type: 'issue' }>): void {
    const statuses = this.run.statuses();
    const isSatisfied = (id: string) =>
      statuses[id] === 'SUCCESS' || (isFailure(statuses[id] ?? 'PENDING') && this.byId.get(id)?.onFailure !== 'fail');
    expect(this.byId.get(nodeId)?.needs.every(isSatisfied), 'the needs of an issued ticket are satisfied').toBe(true);
    expect(
      [...this.live.values()].some((other) => other.nodeId === nodeId && other.slot === slot),
      'a slot has one live ticket at most',
    ).toBe(false);
    const key = `${nodeId}/${slot}`;
    const before = this.attempts.get(key) ?? 0;
    expect(attempt, 'attempts are counted one by one').toBe(before + 1);
    const script = this.byId.get(nodeId)?.scripts[slot]?.slice(0, before) ?? [];
    expect(script.filter((past) => past !== 'lose').length, 'an issued ticket has failures left').toBeLessThan(
      this.byId.get(nodeId)?.maxAttempts ?? 0,
    );
    expect(script.filter((past) => past === 'lose').length, 'an issued ticket has losses left').toBeLessThan(5);
    this.attempts.set(key, attempt);
  }

  checkStep(): void {
    const { state } = this.run;
    const status = runStatusOf(state);
    const blocker = blockerOf(state);
    const isLive = status === 'RUNNING' || status === 'WAITING_APPROVAL';
    expect(blocker !== undefined, 'a live run, and no other, waits for something').toBe(isLive);
    expect(status === 'WAITING_APPROVAL', 'a run waits for approval while one is pending').toBe(this.pending.size > 0);
    expect(state.liveTicketCount, 'live tickets are counted').toBe(this.live.size);
    if (blocker !== undefined) this.checkBlocker(blocker);
    else expect([this.live.size, this.pending.size, wakeAtOf(state)], 'nothing is live after the end').toEqual([0, 0, undefined]);
  }

  checkBlocker(blocker: Blocker): void {
    if (blocker.kind === 'ticket')
      expect([this.live.get(blocker.ticketId)?.nodeId, blocker.otherCount]).toEqual([blocker.nodeId, this.live.size - 1]);
    else if (blocker.kind === 'approval')
      expect(this.pending.get(blocker.approvalId)).toMatchObject({ nodeId: blocker.nodeId, expiresAtMs: blocker.expiresAtMs });
    else if ('dueAtMs' in blocker) expect([this.live.size, (wakeAtOf(this.run.state) ?? Infinity) <= blocker.dueAtMs]).toEqual([0, true]);
  }

  /** What the world does next; false where only time can move the run. */
  act(): boolean {
    const decidable = [...this.pending].filter(([, { nodeId }]) => this.byId.get(nodeId)?.approval !== 'expire');
    const choice = this.pick(this.live.size + decidable.length);
    const ticket = [...this.live.values()][choice];
    if (ticket !== undefined) this.settle(ticket);
    else if (decidable.length > 0) this.decide(decidable[choice - this.live.size] as (typeof decidable)[number]);
    else return false;
    return true;
  }

  settle({ ticketId, nodeId, slot, attempt }: Extract<Command, { type: 'issue' }>): void {
    this.live.delete(ticketId);
    const result = this.byId.get(nodeId)?.scripts[slot]?.[attempt - 1] ?? 'ok';
    const atMs = this.run.nowMs;
    if (result === 'lose') {
      tally.lost += 1;
      return this.send({ type: 'ticket.lost', atMs, ticketId });
    }
    const codes = { fail: 'AGENT_FAILED', 'time-out': 'NODE_TIMED_OUT', 'fail for good': 'AGENT_INPUT_SCHEMA' };
    if (result === 'ok') return this.send({ type: 'ticket.settled', atMs, ticketId, outcome: { ok: true, output: `${nodeId}/${slot}` } });
    tally.retried += 1;
    this.send({ type: 'ticket.settled', atMs, ticketId, outcome: { ok: false, error: { code: codes[result], message: result } } });
  }

  decide([approvalId, { nodeId }]: readonly [ApprovalId, { readonly nodeId: string }]): void {
    this.pending.delete(approvalId);
    const approved = this.byId.get(nodeId)?.approval === 'approve';
    tally[approved ? 'approved' : 'refused'] += 1;
    this.send({ type: 'approval.decided', atMs: this.run.nowMs, approvalId, approved, by: 'ann' });
  }

  /** Moves time on to what is due, after everybody who wanted to decide before it has done so. */
  wake(): void {
    const dueAtMs = wakeAtOf(this.run.state);
    if (dueAtMs === undefined) return;
    const isOverlooked = ([, asked]: readonly [ApprovalId, { readonly nodeId: string; readonly expiresAtMs: number }]) =>
      asked.expiresAtMs <= dueAtMs && this.byId.get(asked.nodeId)?.approval !== 'expire';
    for (let next = [...this.pending].find(isOverlooked); next !== undefined; next = [...this.pending].find(isOverlooked))
      this.decide(next);
    this.run.nowMs = Math.max(this.run.nowMs, dueAtMs);
    this.send({ type: 'run.woken', atMs: dueAtMs });
  }

  /** Events that are no news: what was folded before (but wake-ups and cancels), strangers, and waking too early. */
  noise(): void {
    const { journal, state, nowMs } = this.run;
    const again = journal.filter((event) => event.type !== 'run.woken' && event.type !== 'run.cancelled');
    const unknown: RunEvent = { type: 'ticket.lost', atMs: nowMs, ticketId: `tkt_01JD0000000000000000000000.999999` as TicketId };
    const early: RunEvent = { type: 'run.woken', atMs: (wakeAtOf(state) ?? nowMs) - 1 };
    const event = [again[this.pick(again.length)], unknown, early][this.pick(3)] as RunEvent;
    const flipped = event.type === 'ticket.settled' ? { ...event, outcome: { ok: true as const, output: 'too late' } } : event;
    this.send(flipped);
    expect(this.run.state, `${event.type} was no news`).toBe(state);
    tally.noise += 1;
  }

  play(): void {
    const { end } = this.world;
    this.send({
      type: 'run.created',
      atMs: this.run.nowMs,
      context: { lists: [[], [0], [0, 1], [0, 1, 2], 'none'] },
      ...(end === 'deadline' && { deadlineAtMs: 1_050 + this.pick(500) }),
    });
    const cancelAfter = end === 'cancel' ? this.pick(12) : Infinity;
    for (let step = 0; this.run.state.phase.kind === 'live'; step += 1) {
      expect(step, 'every run ends').toBeLessThan(1_000);
      if (this.pick(3) === 0) this.noise();
      if (step >= cancelAfter) this.stop();
      else if (this.pick(6) === 0 || !this.act()) this.wake();
    }
    for (let count = 0; count < 3; count += 1) this.noise();
    this.send({ type: 'run.cancelled', atMs: this.run.nowMs, by: 'ann' });
    this.send({ type: 'run.woken', atMs: this.run.nowMs + 1e9 });
    this.checkEnd();
  }

  stop(): void {
    tally.stopped += 1;
    this.send({ type: 'run.cancelled', atMs: this.run.nowMs, by: 'ann' });
  }

  checkEnd(): void {
    const { state, rules, journal } = this.run;
    const endsById = endsOfAll(this.world.nodes);
    const status = runStatusOf(state);
    const wasStopped = status === 'CANCELLED' || status === 'TIMED_OUT';
    const statuses = this.run.statuses();
    for (const { id } of this.world.nodes)
      expect([...(endsById.get(id) ?? []), ...(wasStopped ? ['CANCELLED'] : [])], `the end of ${id}`).toContain(statuses[id]);
    if (!wasStopped) {
      const failed = this.world.nodes.filter(({ id, onFailure }) => onFailure === 'fail' && isFailure(statuses[id] ?? 'PENDING'));
      expect(status).toBe(failed.length > 0 ? 'FAILED' : 'SUCCESS');
      if (failed.length > 0) expect(failed.map(({ id }) => id)).toContain(errorOf(state)?.nodeId);
      tally[failed.length > 0 ? 'failedRuns' : 'goodRuns'] += 1;
    }
    tally.skipped += Object.values(statuses).filter((each) => each === 'SKIPPED').length;
    tally.mapped += nodeViewsOf(state, rules.plan).filter((node) => Array.isArray(node.output)).length;
    const replayed = fold(initialState(testRunId, rules.plan), journal, rules);
    expect(JSON.stringify(replayed.state), 'the journal gives the state again').toBe(JSON.stringify(state));
    expect(JSON.stringify([replayed.commands, replayed.notices])).toBe(JSON.stringify([this.run.commands, this.run.notices]));
  }
}

const attempt = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Attempt>('ok') },
  fc.constantFrom<Attempt>('fail', 'fail', 'time-out', 'fail for good', 'lose', 'lose'),
);
const script = fc.oneof(
  { weight: 12, arbitrary: fc.array(attempt, { maxLength: 4 }) },
  fc.constant<Attempt[]>(['lose', 'lose', 'lose', 'lose', 'lose']),
);
const mostly = <T>(usual: T, ...others: T[]) =>
  fc.oneof({ weight: 3 * others.length, arbitrary: fc.constant(usual) }, fc.constantFrom(...others));

const nodes = fc
  .array(
    fc.record({
      needs: fc.array(fc.nat(11), { maxLength: 3 }),
      when: mostly<SimulatedNode['when']>('always', 'if the first need succeeded', 'never'),
      mapCount: mostly<SimulatedNode['mapCount']>(undefined, 3, 2, 1, 0, 'no array'),
      isBroken: mostly(false, false, false, true),
      approval: mostly<SimulatedNode['approval']>('none', 'approve', 'reject', 'expire'),
      onFailure: fc.constantFrom<SimulatedNode['onFailure']>('fail', 'continue', 'fallback'),
      maxAttempts: fc.integer({ min: 1, max: 3 }),
      backoffMs: fc.constantFrom(0, 100),
      scripts: fc.array(script, { minLength: 3, maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 12 },
  )
  .map((raw) =>
    raw.map((node, index): SimulatedNode => ({
      ...node,
      id: `n${index}`,
      needs: [...new Set(node.needs)].filter((need) => need < index).map((need) => `n${need}`),
    })),
  );

it('10,000 schedules end as the reference says and break no invariant on the way', { timeout: 120_000 }, () => {
  const ends = fc.constantFrom<World['end']>('none', 'none', 'none', 'cancel', 'deadline');
  fc.assert(
    fc.property(nodes, fc.array(fc.record({ end: ends, seed: fc.nat() }), { minLength: 4, maxLength: 4 }), (simulated, worlds) => {
      for (const world of worlds) {
        new Play({ ...world, nodes: simulated }).play();
        tally.schedules += 1;
      }
    }),
    { numRuns: 2_600 },
  );
  expect(tally.schedules).toBeGreaterThanOrEqual(10_000);
  for (const [what, count] of Object.entries(tally)) expect(count, what).toBeGreaterThan(500);
});
