import {
  type AgentSpec,
  type BreakerRule,
  type BreakerSubject,
  type BreakerView,
  errorCatalogue,
  type Failure,
  isErrorCode,
  type Outcome,
  type SetBreaker,
  type TicketId,
} from '@hivekeeper/contract';

/**
 * The breaker of one agent, or of something agents depend on, whose trials are tickets; or of one model, whose trials are calls. Times
 * are in milliseconds since 1970: those of agents are the database's.
 *
 * | from      | when                                                          | to |
 * |-----------|---------------------------------------------------------------|----|
 * | closed    | an attempt fails, the `failures`th within `windowMs`          | open, until `coolDownMs` later |
 * | closed    | an attempt fails, and fewer did                               | closed, one failure more |
 * | open      | a ticket that needs it is to be leased after `nextTrialAtMs`   | half-open, with that ticket as the trial; by the lease (`lease_throttled` in SQL) |
 * | half-open | the trial succeeds                                            | closed |
 * | half-open | the trial fails                                               | open, until `coolDownMs` later |
 * | half-open | a trial ended, and before that is noted another began          | half-open; what is noted first of either counts |
 * | half-open | the trial ends in another way, and another is to be leased    | half-open, with that one as the trial; by the lease |
 * | any       | a person says so                                              | closed; or open, for as long as was said |
 * | any       | anything else                                                 | the same |
 */
export type Breaker<Trial extends string = TicketId> =
  | { readonly state: 'closed'; readonly sinceAtMs?: number | undefined; readonly failedAtMs: readonly number[] }
  | { readonly state: 'open'; readonly sinceAtMs: number; readonly nextTrialAtMs: number; readonly cause?: string | undefined }
  | {
      readonly state: 'half-open';
      readonly sinceAtMs: number;
      readonly trialId: Trial;
      /** Trials since it is half-open that ended before it was noted how. */
      readonly earlierTrials?: readonly Trial[] | undefined;
      readonly cause?: string | undefined;
    };

type Closed = Extract<Breaker, { readonly state: 'closed' }>;
type Opened = Extract<Breaker, { readonly state: 'open' }>;

/** A breaker that never saw a failure. */
export const newBreaker: Closed = { state: 'closed', failedAtMs: [] };

/** What an attempt tells of its agent, or of what that depends on, or a call of its model: well, unless it tells of a failure. */
export interface Verdict<Trial extends string = TicketId> {
  readonly trialId: Trial;
  readonly failure?: Failure | undefined;
  readonly atMs: number;
}

/** A breaker that an attempt has something to say of, and the agent's rule for it. */
export interface Judged {
  readonly subject: BreakerSubject;
  readonly rule: BreakerRule;
  readonly failure?: Failure;
}

/** The breaker after an attempt ended; the same object where that changes nothing. Pure. */
export function afterVerdict<Trial extends string>(breaker: Breaker<Trial>, verdict: Verdict<Trial>, rule: BreakerRule): Breaker<Trial> {
  switch (breaker.state) {
    case 'closed':
      return verdict.failure === undefined ? breaker : afterFailure(breaker, { atMs: verdict.atMs, failure: verdict.failure }, rule);
    case 'half-open':
      return breaker.trialId === verdict.trialId || breaker.earlierTrials?.includes(verdict.trialId) ? afterTrial(verdict, rule) : breaker;
    case 'open':
      return breaker;
  }
}

/** The breaker after a person decided about it; the same object where that changes nothing. Pure. */
export function afterOrder(breaker: Breaker, order: SetBreaker, { atMs, by }: { readonly atMs: number; readonly by: string }): Breaker {
  if (order.state === 'closed') return breaker.state === 'closed' ? breaker : closedAt(atMs);
  const { forMs, reason } = order;
  const sinceAtMs = breaker.state === 'open' ? breaker.sinceAtMs : atMs;
  return { state: 'open', sinceAtMs, nextTrialAtMs: atMs + forMs, cause: `opened by ${by}${reason === undefined ? '' : `: ${reason}`}` };
}

interface Failing {
  readonly atMs: number;
  readonly failure: Failure;
}

function afterFailure(closed: Closed, { atMs, failure }: Failing, rule: BreakerRule): Closed | Opened {
  const failedAtMs = [...closed.failedAtMs.filter((each) => counts(each, atMs, rule)), atMs];
  return failedAtMs.length >= rule.failures ? opened(atMs, rule, failure) : { ...closed, failedAtMs };
}

const afterTrial = ({ failure, atMs }: Pick<Verdict, 'failure' | 'atMs'>, rule: BreakerRule): Closed | Opened =>
  failure === undefined ? closedAt(atMs) : opened(atMs, rule, failure);

const closedAt = (atMs: number): Closed => ({ state: 'closed', sinceAtMs: atMs, failedAtMs: [] });

// A failure from the future was noted before the clock was put back.
const counts = (failedAtMs: number, atMs: number, { windowMs }: Pick<BreakerRule, 'windowMs'>) =>
  failedAtMs > atMs - windowMs && failedAtMs <= atMs;

const opened = (atMs: number, { coolDownMs }: BreakerRule, { code, message }: Failure): Opened => ({
  state: 'open',
  sinceAtMs: atMs,
  nextTrialAtMs: atMs + coolDownMs,
  cause: `${code}: ${message}`.slice(0, mostCauseLength),
});

const mostCauseLength = 300;

/**
 * The breakers that an outcome says something of. What goes well speaks for the agent and for all it depends on. A failure that the
 * agent blames on something it depends on speaks of that alone; one that is the caller's or the platform's of nothing; any other, codes
 * that an agent made up too, of the agent. Pure.
 */
export function judgedBy(outcome: Outcome, agent: string, { breaker, dependsOn = {} }: Pick<AgentSpec, 'breaker' | 'dependsOn'>): Judged[] {
  const own: Judged[] = breaker === undefined ? [] : [{ subject: { kind: 'agent', name: agent }, rule: breaker }];
  if (outcome.ok) return [...own, ...Object.entries(dependsOn).map(([name, rule]) => ({ subject: dependencyOf(name), rule }))];
  const { error: failure } = outcome;
  const { code, dependency = '' } = failure;
  const rule = Object.hasOwn(dependsOn, dependency) ? dependsOn[dependency] : undefined;
  if (rule !== undefined) return [{ subject: dependencyOf(dependency), rule, failure }];
  return !isErrorCode(code) || errorCatalogue[code].fault === 'agent' ? own.map((each) => ({ ...each, failure })) : [];
}

const dependencyOf = (name: string): BreakerSubject => ({ kind: 'dependency', name });

/** The breaker in the words of the API. */
export function breakerViewOf(breaker: Breaker, rule: BreakerRule, nowMs: number): BreakerView {
  const { state, sinceAtMs } = breaker;
  return {
    state,
    ...(sinceAtMs !== undefined && { sinceAtMs: Math.floor(sinceAtMs) }),
    failureCount: state === 'closed' ? breaker.failedAtMs.filter((atMs) => counts(atMs, nowMs, rule)).length : 0,
    ...(state === 'open' && { nextTrialAtMs: Math.floor(breaker.nextTrialAtMs) }),
    ...(state !== 'closed' && breaker.cause !== undefined && { cause: breaker.cause }),
  };
}
