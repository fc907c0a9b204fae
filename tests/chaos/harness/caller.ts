import { setTimeout as pause } from 'node:timers/promises';
import type { Client } from '@hivekeeper/client';
import { HiveError } from '@hivekeeper/contract';
import type { Random } from '@hivekeeper/kernel';
import type { Fleet } from './fleet.ts';
import type { Entry, Journal } from './journal.ts';

const repeatAfterMs = 200;

type Said = Pick<Entry, 'outcome' | 'code'>;

/** What calls need. */
export interface CallerOptions {
  readonly fleet: Fleet;
  readonly journal: Journal;
  readonly random: Random;
}

/**
 * A client that calls any of the control planes, again until it is answered where a call may be repeated; every answer
 * goes into the journal before anything follows from it.
 */
export class Caller {
  readonly #options: CallerOptions;
  readonly #internalErrors: string[] = [];
  #isOver = false;

  constructor(options: CallerOptions) {
    this.#options = options;
  }

  /** Calls that were answered with a fault of the product's own, which no fault from outside excuses. */
  get internalErrors(): readonly string[] {
    return this.#internalErrors;
  }

  /** Repeats nothing any more. */
  giveUp(): void {
    this.#isOver = true;
  }

  /** Starts a run by its key; resolves with its id, or undefined where nobody answered until the end. */
  async start(kind: string, key: string): Promise<string | undefined> {
    const started = await this.#repeat(
      (client) => client.startRun(kind, { context: { key, items: [0, 1, 2, 3, 4, 5] } }, { idempotencyKey: key }),
      (answer, said) => ({ ...said, call: 'start', key, kind, ...(answer !== undefined && { runId: answer.id }) }),
    );
    return started?.id;
  }

  /** True where it was done, or had been. */
  async order(call: 'cancel' | 'pause' | 'resume', runId: string): Promise<boolean> {
    const orders = { cancel: 'cancelRun', pause: 'pauseRun', resume: 'resumeRun' } as const;
    const answer = await this.#repeat(
      (client) => client[orders[call]](runId),
      (_answer, said) => ({ ...said, call, runId }),
    );
    return answer !== undefined;
  }

  async decide(approvalId: string, approved: boolean): Promise<void> {
    await this.#repeat(
      (client) => client.decideApproval(approvalId, { decision: approved ? 'APPROVED' : 'REJECTED' }),
      (_answer, said) => ({ ...said, call: 'decide', approvalId, approved }),
    );
  }

  /** Retries a run, once however often this is asked for. */
  async retry(runId: string, from: 'start' | 'failed'): Promise<void> {
    await this.#repeat(
      (client) => client.retryRun(runId, { from }, { idempotencyKey: `retry-${runId}` }),
      (answer, said) => ({ ...said, call: 'retry', runId, from, ...(answer !== undefined && { newRunId: answer.id }) }),
    );
  }

  /** Sends a signal whose payload is its own id. */
  async signal(runId: string, signalId: string): Promise<void> {
    await this.#repeat(
      (client) => client.signalRun(runId, { name: 'go', signalId, payload: signalId }),
      (_answer, said) => ({ ...said, call: 'signal', runId, signalId }),
    );
  }

  /** Says what became of an effect. */
  async resolve(effectId: string, happened: boolean): Promise<void> {
    await this.#repeat(
      (client) => client.resolveEffect(effectId, { happened }),
      (_answer, said) => ({ ...said, call: 'resolve', effectId, happened }),
    );
  }

  async #repeat<Answer>(
    call: (client: Client) => Promise<Answer>,
    entryOf: (answer: Answer | undefined, said: Said) => Entry,
  ): Promise<Answer | undefined> {
    for (;;) {
      const { outcome, answer } = await this.#call(call, entryOf);
      if (outcome !== 'unknown' || this.#isOver) return answer;
      await pause(repeatAfterMs);
    }
  }

  async #call<Answer>(call: (client: Client) => Promise<Answer>, entryOf: (answer: Answer | undefined, said: Said) => Entry) {
    const { fleet, journal, random } = this.#options;
    const { client } = fleet.planes[Math.floor(random.next() * fleet.planes.length)] as { client: Client };
    let answer: Answer | undefined;
    let said: Said = { outcome: 'ok' };
    try {
      answer = await call(client);
    } catch (error) {
      said = this.#saidBy(error);
    }
    journal.write(entryOf(answer, said));
    return { outcome: said.outcome, answer };
  }

  #saidBy(error: unknown): Said {
    if (!HiveError.is(error)) throw error;
    const { code, entry, message } = error;
    // An answer that was cut off in the middle is no answer of ours.
    const wasCut = message.includes('not from a control plane');
    if (entry.httpStatus === 500 && !wasCut) this.#internalErrors.push(message);
    return { outcome: entry.httpStatus >= 500 || wasCut ? 'unknown' : 'refused', code };
  }
}
