import { setTimeout as pause } from 'node:timers/promises';
import type { FaultProxy } from '@hivekeeper/testkit';
import type { Fleet } from './fleet.ts';
import { below, isAlive, nameOf, stateOf } from './process-table.ts';
import { type Fault, faultText, type Target } from './schedule.ts';

/** How often a kind of fault was tried, and how often it took effect. Only the latter proves anything. */
export type FaultCounts = Readonly<Record<string, { readonly tried: number; readonly tookEffect: number }>>;

const patienceMs = 20_000;
const lookAgainMs = 10;

/** Does faults to a fleet and counts those that took effect. */
export class FaultInjector {
  readonly #fleet: Fleet;
  readonly #counts = new Map<string, { tried: number; tookEffect: number }>();
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
    return [...this.#counts].reduce((sum, [name, { tookEffect }]) => sum + (name.startsWith('kill:') ? tookEffect : 0), 0);
  }

  /** Does a fault. A kill is over when this resolves; what lasts goes on beside the next faults. */
  async inject(fault: Fault): Promise<void> {
    if (fault.kind === 'kill') return this.#count(fault, await this.#kill(fault));
    const lasting = (fault.kind === 'stop' ? this.#stop(fault) : this.#disturb(fault)).then((tookEffect) => this.#count(fault, tookEffect));
    this.#underWay.add(lasting);
    void lasting.finally(() => this.#underWay.delete(lasting));
  }

  /** Resolves when nothing lasts any more. */
  async over(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #count(fault: Fault, tookEffect: boolean): void {
    const name = faultText(fault);
    const before = this.#counts.get(name) ?? { tried: 0, tookEffect: 0 };
    this.#counts.set(name, { tried: before.tried + 1, tookEffect: before.tookEffect + (tookEffect ? 1 : 0) });
  }

  async #kill({ target, index }: Extract<Fault, { kind: 'kill' }>): Promise<boolean> {
    const pids = await this.#find(target, index);
    const [first] = pids;
    if (first === undefined || !isAlive(first)) return false;
    for (const pid of pids) signal(pid, 'SIGKILL');
    return within(() => !pids.some(isAlive));
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

  /** The processes of a target, the one that counts first, as soon as there is one. */
  async #find(target: Target, index: number): Promise<readonly number[]> {
    const endMs = performance.now() + patienceMs;
    for (let look = index; performance.now() < endMs; look += 1) {
      const pids = this.#look(target, look);
      if (pids.length > 0) return pids;
      await pause(lookAgainMs);
    }
    return [];
  }

  #look(target: Target, index: number): readonly number[] {
    const { planes, workers, postgres } = this.#fleet;
    const chosen = <Item>(items: readonly Item[]): Item | undefined => items[index % items.length];
    switch (target) {
      case 'agent':
        return agentsBelow(chosen(workers)?.pid).slice(-1);
      case 'worker':
        return [chosen(workers)?.pid].filter((pid) => pid !== undefined);
      case 'control':
        return [chosen(planes)?.process.pid].filter((pid) => pid !== undefined);
      case 'postgres':
        return isAlive(postgres.pid) ? [postgres.pid, ...below(postgres.pid)] : [];
    }
  }
}

/** The agents' own processes, inside whatever confines them: scripts that no script started. */
function agentsBelow(worker: number | undefined): readonly number[] {
  const scripts = worker === undefined ? [] : below(worker).filter((pid) => nameOf(pid) === 'scribe.sh');
  const subshells = new Set(scripts.flatMap(below));
  return scripts.filter((pid) => !subshells.has(pid) && isAlive(pid));
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
