import { strictEqual } from 'node:assert/strict';
import type { CarriedNode, CompensationTask, RunEvent } from '@hivekeeper/contract';
import { blockerOf } from '../core/index.ts';
import { RunUnderTest } from '../core/run-under-test.ts';
import { checkBlocker } from './blockers.ts';
import { checkState, freeze } from './invariants.ts';
import type { End } from './reference.ts';
import type { Tally } from './tally.ts';
import { Witness } from './witness.ts';
import { evaluate, signalsOf, type SimulatedNode, type SimulatedSignal, workflowOf, type World } from './world.ts';

/** What is played. */
export interface Scenario {
  readonly nodes: readonly SimulatedNode[];
  readonly world: World;
  readonly tally: Tally;
  /** What the run need not do again. */
  readonly carried?: readonly CarriedNode[];
  /** The run does nothing but this. */
  readonly undoing?: readonly CompensationTask[];
}

/** One run on one stage: whatever anybody does to it goes through `send`, which checks what came of it. */
export class Stage {
  readonly scenario: Scenario;
  readonly run: RunUnderTest;
  readonly witness: Witness;
  readonly byId: ReadonlyMap<string, SimulatedNode>;
  /** Signals that will come, by what they are for. */
  readonly unsent: Map<string, SimulatedSignal>;
  readonly sent = new Set<string>();
  #random: number;

  constructor(scenario: Scenario) {
    const { nodes, world, tally, undoing, carried = [] } = scenario;
    this.scenario = scenario;
    this.#random = world.seed;
    this.byId = new Map(nodes.map((node) => [node.id, node]));
    this.run = new RunUnderTest(workflowOf(nodes, world), evaluate);
    const ends = new Map(carried.map(({ nodeId, ...end }): [string, End] => [nodeId, end]));
    this.witness = new Witness({ byId: this.byId, tally, undoing, carried: ends });
    const coming = signalsOf(nodes).filter(({ comes }) => comes);
    this.unsent = new Map(coming.map((signal) => [signal.path, signal]));
  }

  get nowMs(): number {
    return this.run.nowMs;
  }

  /** How far an unfinished run is. */
  get going(): 'queued' | 'live' | undefined {
    const { kind } = this.run.state.phase;
    return kind === 'queued' || kind === 'live' ? kind : undefined;
  }

  /** A whole number in [0, below). */
  pick(below: number): number {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#random / 2 ** 32) * below);
  }

  /** Sends an event and checks what it led to; true where it was news. */
  send(event: RunEvent): boolean {
    const { run, witness } = this;
    const { state: before, notices } = run;
    const noticeCount = notices.length;
    witness.nowMs = event.atMs;
    const commands = run.send(event);
    if (run.state === before) {
      strictEqual(commands.length + notices.length - noticeCount, 0, 'what is no news leads to nothing');
      return false;
    }
    this.scenario.tally.add(event.type);
    witness.record(notices.slice(noticeCount), commands);
    witness.check(run.state, this.sent);
    const blocker = blockerOf(run.state);
    if (blocker !== undefined) checkBlocker(blocker, witness, run.state);
    freeze(run.state);
    checkState(run.state);
    return true;
  }
}
