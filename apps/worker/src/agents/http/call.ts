import { type ErrorCode, HiveError, type LeasedTicket } from '@hivekeeper/contract';
import { bodyOf, type Egress, EgressFault, type EgressFaultReason, sendRequest } from '@hivekeeper/egress';
import type { Clock } from '@hivekeeper/kernel';
import { type ExecuteKind, type Execution, type ExecutionHooks, failed, type Task } from '../attempt/index.ts';
import { type Answer, calledBack, executionOf } from './answer.ts';
import { attemptBody, newCallback, newSign, type Sign } from './attempt-request.ts';

/** What agents behind HTTP are called with. */
export interface HttpOptions {
  readonly egress: Egress;
  /** Under which agents reach the control plane. */
  readonly callbackUrl: string;
  /** The worker's own environment, with the secrets in it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

/** How long an agent may take to hear that its work is no longer wanted. */
const farewellMs = 2_000;

/** An agent's address, and how to speak to it. */
interface Line {
  readonly url: URL;
  readonly sign: Sign;
}

/**
 * Calls agents of the kind `http`: POSTs the attempt, and takes the answer for its outcome. An agent that says 202 is waited for
 * by the run, not by this worker, until it calls back: then a new ticket brings what it said.
 */
export const newHttpKind =
  (options: HttpOptions): ExecuteKind =>
  async (task, hooks) => {
    const said = calledBack(task);
    if (said !== undefined) return { kind: 'finished', ...said };
    const line = lineTo(task.ticket, options);
    const timeout = new AbortController();
    using timers = new DisposableStack();
    timers.use(options.clock.after(task.ticket.timeoutMs, () => timeout.abort()));
    try {
      return await post(task, { ...options, line, signal: AbortSignal.any([hooks.signal, timeout.signal]) });
    } catch (error) {
      const isGivenUp = hooks.signal.aborted || timeout.signal.aborted;
      if (!isGivenUp) return { kind: 'finished', outcome: failureOf(error) };
      // Where the lease was lost somebody else makes the attempt again, under the same address: that one is wanted.
      if (!hooks.signal.aborted || hooks.signal.reason === 'revoked') await sayFarewell(task.ticket, { ...options, line, log: hooks.log });
      return hooks.signal.aborted ? { kind: 'aborted' } : timedOut(task.ticket);
    }
  };

function lineTo({ agent: { name, http } }: LeasedTicket, { environment, clock }: HttpOptions): Line {
  if (http === undefined) throw new HiveError('AGENT_NOT_RUNNABLE', `${name} is of the kind http and has no address`);
  return { url: new URL(http.url), sign: newSign(http.secretVariable, environment[http.secretVariable], () => clock.nowMs()) };
}

async function post(
  task: Task,
  { line, signal, egress, callbackUrl, clock }: HttpOptions & { readonly line: Line; readonly signal: AbortSignal },
): Promise<Execution> {
  const { ticketId, agent } = task.ticket;
  const callback = newCallback(ticketId, callbackUrl);
  const body = JSON.stringify(attemptBody(task.ticket, callback.url));
  const headers = { 'content-type': 'application/json', accept: 'application/json', ...line.sign(ticketId, body) };
  const response = await sendRequest({ method: 'POST', url: line.url, headers, body }, { egress, signal });
  const answer: Answer = {
    status: response.statusCode ?? 0,
    retryAfter: response.headers['retry-after'],
    body: await bodyOf(response, agent.limits.outputBytes),
  };
  return executionOf(answer, task, { key: callback.key, nowMs: clock.nowMs() });
}

const codes: Readonly<Record<EgressFaultReason, ErrorCode>> = {
  refused: 'EGRESS_REFUSED',
  unreachable: 'AGENT_UNREACHABLE',
  'too-large': 'AGENT_OUTPUT_TOO_LARGE',
};

function failureOf(error: unknown) {
  if (error instanceof EgressFault) return failed(codes[error.reason], `The agent could not be called: ${error.message}.`);
  throw error;
}

const timedOut = ({ timeoutMs }: LeasedTicket): Execution => ({
  kind: 'finished',
  outcome: failed('NODE_TIMED_OUT', `The agent did not answer within ${timeoutMs} ms.`),
});

/** Tells the agent that nobody wants the attempt any more. Once: an agent that does not hear it is refused when it calls back. */
async function sayFarewell(
  { ticketId }: LeasedTicket,
  { line, egress, clock, log }: HttpOptions & { readonly line: Line; readonly log: ExecutionHooks['log'] },
): Promise<void> {
  const late = new AbortController();
  using timers = new DisposableStack();
  timers.use(clock.after(farewellMs, () => late.abort()));
  try {
    const request = { method: 'DELETE', url: line.url, headers: line.sign(ticketId, '') };
    (await sendRequest(request, { egress, signal: late.signal })).destroy();
  } catch (error) {
    log.warn({ ticketId, err: error }, 'an agent could not be told that its work is no longer wanted');
  }
}
