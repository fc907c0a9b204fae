import { setTimeout as pause } from 'node:timers/promises';
import type { FaultProxy } from '@hivekeeper/testkit';
import type { Fleet } from './fleet.ts';
import { below, commandLineOf, isAlive, nameOf, stateOf } from './process-table.ts';
import { type Fault, faultText, type Target } from './schedule.ts';

/** How often a kind of fault was tried, and how often it took effect. Only the latter proves anything. */
export interface FaultCount {
  readonly tried: number;
  readonly tookEffect: number;
  /** Of kills: those that met agents at work, in the hands of what was killed or waiting for it. */
  readonly hitWork?: number;
}

/** By the fault's text. */
export type FaultCounts = Readonly<Record<string, FaultCount>>;

const patienceMs = 20_000;
// So long a kill waits for a victim with work in its hands; then any will do, and the count says so.
const workPatienceMs = 3_000;
const lookAgainMs = 10;

/** Which victim, and how long to wait for one. */
interface Wanted {
  readonly isFit: (pids: readonly number[]) => boolean;
  readonly patienceMs: number;
}

/** Does faults to a fleet and counts those that took effect. */
export class FaultInjector {
  readonly #fleet: Fleet;
  readonly #counts = new Map<string, FaultCount>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #met = new Set<unknown>();

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  get counts(): FaultCounts {
    return Object.fromEntries([...this.#counts].sort(([one], [other]) => (one < other ? -1 : 1)));
  }

  /** kill -9 that took effect. */
  get killCount(): number {
    return this.tally('kill:').tookEffect;
  }

  /** All faults whose text begins so. */
  tally(prefix: string): Required<FaultCount> {
    const sum = { tried: 0, tookEffect: 0, hitWork: 0 };
    for (const [name, { tried, tookEffect, hitWork = 0 }] of this.#counts) {
      if (!name.startsWith(prefix)) continue;
      sum.tried += tried;
      sum.tookEffect += tookEffect;
      sum.hitWork += hitWork;
    }
    return sum;
  }

  /** Does a fault. A kill is over when this resolves; what lasts goes on beside the next faults. */
  async inject(fault: Fault): Promise<void> {
    if (fault.kind === 'kill') return this.#kill(fault);
    const lasting = (fault.kind === 'stop' ? this.#stop(fault) : this.#disturb(fault)).then((tookEffect) => this.#count(fault, tookEffect));
    this.#underWay.add(lasting);
    void lasting.finally(() => this.#underWay.delete(lasting));
  }

  /** Resolves when nothing lasts any more. */
  async over(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #count(fault: Fault, tookEffect: boolean, hitWork?: boolean): void {
    const name = faultText(fault);
    const before = this.#counts.get(name) ?? { tried: 0, tookEffect: 0 };
    this.#counts.set(name, {
      tried: before.tried + 1,
      tookEffect: before.tookEffect + Number(tookEffect),
      ...(hitWork !== undefined && { hitWork: (before.hitWork ?? 0) + Number(hitWork) }),
    });
  }

  async #kill(fault: Extract<Fault, { kind: 'kill' }>): Promise<void> {
    const { target, index } = fault;
    const hasWork = ([first]: readonly number[]) => target === 'agent' || this.#isWorkedFor(target, first ?? 0);
    const atWork = await this.#find(target, index, { isFit: hasWork, patienceMs: target === 'agent' ? patienceMs : workPatienceMs });
    const pids = atWork.length > 0 ? atWork : await this.#find(target, index);
    const [first] = pids;
    if (first === undefined || !isAlive(first)) return this.#count(fault, false, false);
    const hitWork = hasWork(pids);
    for (const pid of pids) signal(pid, 'SIGKILL');
    const isGone = await within(() => !pids.some(isAlive));
    this.#count(fault, isGone, isGone && hitWork);
  }

  /** Whether agents are at work whose results what is about to be killed would take. */
  #isWorkedFor(target: Exclude<Target, 'agent'>, pid: number): boolean {
    return this.#workersOf(target, pid).some((worker) => agentsBelow(worker).length > 0);
  }

  #workersOf(target: Exclude<Target, 'agent'>, pid: number): readonly (number | undefined)[] {
    const { planes, workers } = this.#fleet;
    if (target === 'worker') return [pid];
    const served = target === 'postgres' ? workers : (planes.find((plane) => plane.process.pid === pid)?.workers ?? []);
    return served.map((worker) => worker.pid);
  }

  async #stop({ target, index, durationMs }: Extract<Fault, { kind: 'stop' }>): Promise<boolean> {
    const pids = await this.#find(target, index);
    for (const pid of pids) signal(pid, 'SIGSTOP');
    const [first] = pids;
    const wasStopped = first !== undefined && (await within(() => stateOf(first) === 'T' || !isAlive(first)));
    await pause(durationMs);
    // One that was killed meanwhile did not come back: then it was no zombie, and does not count.
    const isStopped = wasStopped && stateOf(first) === 'T';
    for (const pid of pids) signal(pid, 'SIGCONT');
    return isStopped;
  }

  async #disturb({ link, index, mode, durationMs }: Extract<Fault, { kind: 'net' }>): Promise<boolean> {
    const plane = this.#fleet.planes[index % this.#fleet.planes.length];
    const proxy = link === 'database' ? plane?.toDatabase : plane?.toWorkers;
    // Two modes at once are none: the second would end the first.
    if (proxy === undefined || this.#met.has(proxy)) return false;
    this.#met.add(proxy);
    const before = touched(proxy);
    proxy.set(mode);
    await pause(durationMs);
    proxy.set({ kind: 'pass' });
    this.#met.delete(proxy);
    return touched(proxy) > before;
  }

  /** The processes of a target, the one that counts first, as soon as there is one that is fit. */
  async #find(target: Target, index: number, wanted: Partial<Wanted> = {}): Promise<readonly number[]> {
    const { isFit = () => true, patienceMs: mostMs = patienceMs } = wanted;
    const endMs = performance.now() + mostMs;
    for (let look = index; performance.now() < endMs; look += 1) {
      const pids = this.#look(target, look);
      if (pids.length > 0 && isFit(pids)) return pids;
      await pause(lookAgainMs);
    }
    return [];
  }

  #look(target: Target, index: number): readonly number[] {
    const { planes, workers, postgres } = this.#fleet;
    const chosen = <Item>(items: readonly Item[]): Item | undefined => items[index % items.length];
    switch (target) {
      case 'agent':
        return [chosen(agentsBelow(chosen(workers)?.pid))].filter((pid) => pid !== undefined);
      case 'worker':
        return [chosen(workers)?.pid].filter((pid) => pid !== undefined);
      case 'control':
        return [chosen(planes)?.process.pid].filter((pid) => pid !== undefined);
      case 'postgres':
        return isAlive(postgres.pid) ? [postgres.pid, ...below(postgres.pid)] : [];
    }
  }
}

/** The agents' own processes, inside whatever confines them: Node for one, and scripts that no script started. */
function agentsBelow(worker: number | undefined): readonly number[] {
  const all = worker === undefined ? [] : below(worker);
  const scripts = all.filter((pid) => nameOf(pid) === 'scribe.sh');
  const subshells = new Set(scripts.flatMap(below));
  const payers = all.filter((pid) => {
    const [program, ...words] = commandLineOf(pid);
    return program?.endsWith('/node') === true && words.some((word) => word.endsWith('payer/index.ts'));
  });
  return [...scripts.filter((pid) => !subshells.has(pid)), ...payers].filter(isAlive);
}

const touched = ({ counters }: FaultProxy): number => counters.delayedPieces + counters.heldPieces + counters.resets;

function signal(pid: number, name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function within(holds: () => boolean): Promise<boolean> {
  for (const endMs = performance.now() + patienceMs; performance.now() < endMs; await pause(1)) if (holds()) return true;
  return false;
}
