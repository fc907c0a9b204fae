import { type BreakerRule, type BreakerView, errorCatalogue, isErrorCode, type Outcome, type TicketId } from '@hivekeeper/contract';

/**
 * The breaker of one agent. Times are the database's, in milliseconds since 1970.
 *
 * | from      | when                                                          | to |
 * |-----------|---------------------------------------------------------------|----|
 * | closed    | an attempt fails, the `failures`th within `windowMs`          | open, until `coolDownMs` later |
 * | closed    | an attempt fails, and fewer did                               | closed, one failure more |
 * | open      | a ticket of the agent is to be leased after `nextTrialAtMs`   | half-open, with that ticket as the trial; by the lease (`lease_throttled` in SQL) |
 * | half-open | the trial succeeds                                            | closed |
 * | half-open | the trial fails                                               | open, until `coolDownMs` later |
 * | half-open | the trial ends in another way, and another is to be leased    | half-open, with that one as the trial; by the lease |
 * | any       | anything else                                                 | the same |
 */
export type Breaker =
  | { readonly state: 'closed'; readonly sinceAtMs?: number | undefined; readonly failedAtMs: readonly number[] }
  | { readonly state: 'open'; readonly sinceAtMs: number; readonly nextTrialAtMs: number }
  | { readonly state: 'half-open'; readonly sinceAtMs: number; readonly trialTicketId: TicketId };

/** A breaker that never saw a failure. */
export const newBreaker: Breaker = { state: 'closed', failedAtMs: [] };

/** What an attempt tells of its agent. */
export interface Verdict {
  readonly ticketId: TicketId;
  readonly isFailure: boolean;
  readonly atMs: number;
}

/** The breaker after an attempt ended; the same object where that changes nothing. Pure. */
export function afterVerdict(breaker: Breaker, verdict: Verdict, rule: BreakerRule): Breaker {
  switch (breaker.state) {
    case 'closed':
      return verdict.isFailure ? afterFailure(breaker, verdict, rule) : breaker;
    case 'half-open':
      return breaker.trialTicketId === verdict.ticketId ? afterTrial(verdict, rule) : breaker;
    case 'open':
      return breaker;
  }
}

function afterFailure(closed: Extract<Breaker, { readonly state: 'closed' }>, { atMs }: Verdict, rule: BreakerRule): Breaker {
  const failedAtMs = [...closed.failedAtMs.filter((each) => counts(each, atMs, rule)), atMs];
  return failedAtMs.length >= rule.failures ? opened(atMs, rule) : { ...closed, failedAtMs };
}

const afterTrial = ({ isFailure, atMs }: Verdict, rule: BreakerRule): Breaker =>
  isFailure ? opened(atMs, rule) : { state: 'closed', sinceAtMs: atMs, failedAtMs: [] };

// A failure from the future was noted before the clock was put back.
const counts = (failedAtMs: number, atMs: number, { windowMs }: Pick<BreakerRule, 'windowMs'>) =>
  failedAtMs > atMs - windowMs && failedAtMs <= atMs;

const opened = (atMs: number, { coolDownMs }: BreakerRule): Breaker => ({
  state: 'open',
  sinceAtMs: atMs,
  nextTrialAtMs: atMs + coolDownMs,
});

/**
 * What an outcome says of whether the agent, and what it depends on, is well; undefined where it says nothing: the failure is the
 * caller's or the platform's. Codes an agent made up itself are its own.
 */
export function healthIn(outcome: Outcome): 'well' | 'failing' | undefined {
  if (outcome.ok) return 'well';
  const { code } = outcome.error;
  return !isErrorCode(code) || errorCatalogue[code].fault === 'agent' ? 'failing' : undefined;
}

/** The breaker in the words of the API. */
export function breakerViewOf(breaker: Breaker, rule: BreakerRule, nowMs: number): BreakerView {
  const { state, sinceAtMs } = breaker;
  return {
    state,
    ...(sinceAtMs !== undefined && { sinceAtMs: Math.floor(sinceAtMs) }),
    failureCount: state === 'closed' ? breaker.failedAtMs.filter((atMs) => counts(atMs, nowMs, rule)).length : 0,
    ...(state === 'open' && { nextTrialAtMs: Math.floor(breaker.nextTrialAtMs) }),
  };
}
