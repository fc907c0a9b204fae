import { HiveError, type HeldTicket, type Outcome, type SuspendRequest, type Suspension, type WorkerId } from '@hivekeeper/contract';
import { type Clock, type Log, type Random, pause } from '@hivekeeper/kernel';
import { backoffMs } from './backoff.ts';
import type { WorkerApi } from './worker-api.ts';

/**
 * What became of a result. `not-held`: the ticket is somebody else's by now; `refused`: the control plane will never take
 * anything for it from us; `given-up`: the signal ended the attempts.
 */
export type Receipt = 'accepted' | 'not-held' | 'refused' | 'given-up';

/** What is said at the end of a ticket: what it came to, or what its agent waits for. */
export type Report = { readonly outcome: Outcome; readonly costMicroUsd?: number } | { readonly suspension: Suspension };

/** Hands one report in, as often as it takes. */
export type Deliver = (held: HeldTicket, report: Report, signal: AbortSignal) => Promise<Receipt>;

/** What delivering needs. */
export interface DeliverOptions {
  readonly api: Pick<WorkerApi, 'settle' | 'suspend'>;
  readonly workerId: WorkerId;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/**
 * Delivers reports. While the control plane is away they wait in memory, and losing them with the process is harmless:
 * the lease runs out and the ticket is done again.
 */
export function newDeliver({ api, workerId, clock, random, log }: DeliverOptions): Deliver {
  return async ({ ticketId, token }, report, signal) => {
    const held = { workerId, ticketId, token };
    let delivered = report;
    for (let failureCount = 1; !signal.aborted; failureCount++) {
      try {
        if ('outcome' in delivered) await api.settle({ ...held, ...delivered }, signal);
        else await api.suspend({ ...held, suspension: delivered.suspension as SuspendRequest['suspension'] }, signal);
        return 'accepted';
      } catch (error) {
        const step = afterRefusal(error, delivered);
        if (typeof step === 'string' && step !== 'retry') return step;
        if (typeof step !== 'string') delivered = step;
        log.warn({ ticketId, err: error, failureCount }, 'the result was not taken yet');
      }
      await pause(clock, backoffMs(failureCount, random), signal).catch(() => undefined);
    }
    return 'given-up';
  };
}

/** Retry, end, or hand in this failure instead, where the report itself is what cannot be taken. */
function afterRefusal(error: unknown, report: Report): 'retry' | Exclude<Receipt, 'accepted' | 'given-up'> | Report {
  if (!HiveError.is(error)) return 'retry';
  switch (error.code) {
    case 'TICKET_NOT_HELD':
      return 'not-held';
    case 'UNAUTHENTICATED':
    case 'FORBIDDEN':
      return 'refused';
    // A restarted control plane may not know this worker yet; registering again is intake's business.
    case 'NOT_FOUND':
      return 'retry';
  }
  if (error.entry.fault !== 'caller' || error.entry.consequence !== 'terminal') return 'retry';
  if ('outcome' in report && !report.outcome.ok) return 'refused';
  const code = error.code === 'BODY_TOO_LARGE' ? 'AGENT_OUTPUT_TOO_LARGE' : 'AGENT_OUTPUT_INVALID';
  return {
    ...report,
    outcome: { ok: false, error: { code, message: `The control plane refused the result: ${error.message}`.slice(0, 2_000) } },
  };
}
