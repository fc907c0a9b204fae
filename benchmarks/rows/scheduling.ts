/*
 * Program: what one scheduling decision costs in memory, with 1,000 workers and 10,000 ready tickets all the time, beside the
 * least it can cost: one pop and one push of a heap that holds 10,000.
 */
import { defaultTenantId, type TicketId, type WorkerId } from '@hivekeeper/contract';
import TinyQueue from 'tinyqueue';
import { type ReadyTicket, rankMsOf, Scheduler } from '../../apps/control/src/flow/tickets/index.ts';
import { quantile } from '../harness/statistics.ts';

/** Microseconds. */
export interface SchedulingRound {
  readonly workerCount: number;
  readonly readyCount: number;
  readonly decisionCount: number;
  /** One decision: which worker takes which ticket. */
  readonly decisionP50Us: number;
  readonly decisionP99Us: number;
  /** One decision with what surrounds it: the next ticket offered, the worker's credit given back. */
  readonly cycleP50Us: number;
  readonly cycleP99Us: number;
  readonly heapP50Us: number;
  readonly heapP99Us: number;
}

const workerCount = 1_000;
const readyCount = 10_000;
const decisionCount = 50_000;
const warmUpCount = 50_000;
const requirements = ['node', 'python', 'exec'];

// A fixed sequence (xorshift), so that every run schedules the same tickets.
let seed = 42;
const nextRandom = (): number => {
  seed ^= seed << 13;
  seed ^= seed >>> 17;
  seed ^= seed << 5;
  return (seed >>> 0) / 2 ** 32;
};

const newTicket = (index: number): ReadyTicket => ({
  ticketId: `tkt_${index}` as TicketId,
  tenantId: defaultTenantId,
  requirement: requirements[index % requirements.length] ?? '',
  rankMs: rankMsOf({
    readyAtMs: index,
    priority: Math.floor(nextRandom() * 5),
    timeoutMs: 60_000,
    ...(nextRandom() < 0.5 && { deadlineAtMs: index + nextRandom() * 900_000 }),
  }),
});

function measureScheduler(): { decisions: number[]; cycles: number[] } {
  const scheduler = new Scheduler<ReadyTicket>();
  const tickets = Array.from({ length: readyCount + warmUpCount + decisionCount }, (_, index) => newTicket(index));
  for (let index = 0; index < workerCount; index += 1) {
    const workerId = `wrk_${index}` as WorkerId;
    scheduler.addWorker(workerId, index % 2 === 0 ? requirements : ['node']);
    scheduler.setCredits(workerId, 1);
  }
  for (const ticket of tickets.slice(0, readyCount)) scheduler.offer(ticket);
  const [decisions, cycles]: [number[], number[]] = [[], []];
  for (const ticket of tickets.slice(readyCount)) {
    const startedAt = process.hrtime.bigint();
    const [assignment] = scheduler.assign(1);
    const decidedAt = process.hrtime.bigint();
    scheduler.offer(ticket);
    if (assignment !== undefined) scheduler.returnCredit(assignment.workerId);
    cycles.push(Number(process.hrtime.bigint() - startedAt) / 1_000);
    if (assignment !== undefined) decisions.push(Number(decidedAt - startedAt) / 1_000);
  }
  return { decisions: decisions.slice(warmUpCount), cycles: cycles.slice(warmUpCount) };
}

function measureHeap(): number[] {
  const heap = new TinyQueue<number>(Array.from({ length: readyCount }, nextRandom));
  const samples: number[] = [];
  for (let index = 0; index < warmUpCount + decisionCount; index += 1) {
    const startedAt = process.hrtime.bigint();
    heap.pop();
    heap.push(nextRandom());
    samples.push(Number(process.hrtime.bigint() - startedAt) / 1_000);
  }
  return samples.slice(warmUpCount);
}

const heap = measureHeap();
const { decisions, cycles } = measureScheduler();
const round: SchedulingRound = {
  workerCount,
  readyCount,
  decisionCount: decisions.length,
  decisionP50Us: quantile(decisions, 0.5),
  decisionP99Us: quantile(decisions, 0.99),
  cycleP50Us: quantile(cycles, 0.5),
  cycleP99Us: quantile(cycles, 0.99),
  heapP50Us: quantile(heap, 0.5),
  heapP99Us: quantile(heap, 0.99),
};
process.stdout.write(`${JSON.stringify(round)}\n`);
