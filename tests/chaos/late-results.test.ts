import { HiveError, type LeasedTicket, type Outcome, type RunId, type WorkerId } from '@hivekeeper/contract';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Stack, startStack, temporaryDirectory } from '../stack/stack.ts';

/**
 * A worker that speaks the protocol and nothing else: it has no fence, so what it holds too long it hands in all the same. Real
 * workers end such an agent themselves; the control plane must not rely on that.
 */
class UnfencedWorker {
  readonly #stack: Stack;
  readonly id: WorkerId;

  constructor(stack: Stack, number: number) {
    this.#stack = stack;
    this.id = `wrk_0000000000000000000000000${number}` as WorkerId;
  }

  register(): Promise<void> {
    return this.#stack.client.worker.register({ workerId: this.id, name: this.id, capabilities: ['node', 'sandbox'], maxParallel: 1 });
  }

  /** The next ticket, however long it takes. What it held before it no longer mentions. */
  async take(): Promise<LeasedTicket> {
    for (;;) {
      const { tickets } = await this.#stack.client.worker.poll({ workerId: this.id, credits: 1, held: [], waitMs: 20_000 });
      if (tickets[0] !== undefined) return tickets[0];
    }
  }

  release({ ticketId, token }: LeasedTicket): Promise<void> {
    return this.#stack.client.worker.release({ workerId: this.id, tickets: [{ ticketId, token }] });
  }

  /** Hands in a result: `taken`, or the code it was refused with. */
  settle({ ticketId, token }: LeasedTicket, output: string): Promise<string> {
    const outcome: Outcome = { ok: true, output };
    return this.#stack.client.worker.settle({ workerId: this.id, ticketId, token, outcome }).then(
      () => 'taken',
      (error: unknown) => (HiveError.is(error) ? error.code : String(error)),
    );
  }
}

let number = 0;
beforeEach(() => void (number = 0));
async function newWorker(stack: Stack): Promise<UnfencedWorker> {
  const worker = new UnfencedWorker(stack, ++number);
  await worker.register();
  return worker;
}

async function startRun({ client }: Stack): Promise<RunId> {
  await client.deployWorkflow({ name: 'one', nodes: [{ id: 'n', agent: 'triage' }] });
  return (await client.startRun('one', {})).id;
}

async function endOf({ client }: Stack, runId: RunId) {
  for await (const { event } of client.events(runId)) if (event.type === 'run.finished') break;
  const { status, nodes } = await client.run(runId);
  return { status, output: nodes[0]?.output, attempts: nodes[0]?.attempts.map((attempt) => attempt.status) };
}

describe('a late result', () => {
  test('of a lease that ran out is refused, before and after another worker has settled', async () => {
    await using directory = await temporaryDirectory('late');
    await using stack = await startStack({ dataDirectory: directory.path, workerCount: 0, leaseMs: 1_000 });
    const [late, other] = [await newWorker(stack), await newWorker(stack)];
    const runId = await startRun(stack);
    const first = await late.take();
    const second = await other.take();
    expect(second.ticketId).not.toBe(first.ticketId);
    expect(await late.settle(first, 'late')).toBe('TICKET_NOT_HELD');
    expect(await late.settle({ ...first, ticketId: second.ticketId }, 'late')).toBe('TICKET_NOT_HELD');
    expect(await other.settle(second, 'in time')).toBe('taken');
    expect(await late.settle(first, 'late')).toBe('TICKET_NOT_HELD');
    expect(await other.settle(second, 'in time')).toBe('taken');
    expect(await endOf(stack, runId)).toEqual({ status: 'SUCCESS', output: 'in time', attempts: ['LOST', 'SUCCESS'] });
  });

  test('of a ticket that was given back is refused, also from a worker that was given it anew', async () => {
    await using directory = await temporaryDirectory('returned');
    await using stack = await startStack({ dataDirectory: directory.path, workerCount: 0, leaseMs: 60_000 });
    const worker = await newWorker(stack);
    const runId = await startRun(stack);
    const before = await worker.take();
    await worker.release(before);
    await worker.register();
    const now = await worker.take();
    expect([now.ticketId, now.token === before.token]).toEqual([before.ticketId, false]);
    expect(await worker.settle(before, 'late')).toBe('TICKET_NOT_HELD');
    const stranger = await newWorker(stack);
    expect(await stranger.settle(now, 'stolen')).toBe('TICKET_NOT_HELD');
    expect(await worker.settle(now, 'in time')).toBe('taken');
    expect(await endOf(stack, runId)).toEqual({ status: 'SUCCESS', output: 'in time', attempts: ['SUCCESS'] });
  });
});
