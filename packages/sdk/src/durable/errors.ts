import type { Failure, Outcome } from '@hivekeeper/contract';
import { isErrorCode } from '@hivekeeper/contract/error-codes';
import { HiveError } from '@hivekeeper/contract/hive-error';

const marker = Symbol.for('hivekeeper.final');
const notDoneMarker = Symbol.for('hivekeeper.not-done');
const dependencyMarker = Symbol.for('hivekeeper.dependency');

/**
 * Thrown by a step or an effect where trying again is of no use, as when a card is declined. It is recorded: later
 * executions get the same error without calling the function again.
 */
export class FinalError extends Error {
  /** For whoever catches it, such as `CARD_DECLINED`. */
  readonly code: string;
  readonly [marker] = true;

  constructor(message: string, options: { readonly code?: string; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'FinalError';
    this.code = options.code ?? 'STEP_FAILED';
  }
}

/** Thrown by an effect that has surely not happened, as when the connection was refused: it may be tried again. */
export class NotDoneError extends Error {
  readonly [notDoneMarker] = true;

  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.name = 'NotDoneError';
  }
}

/**
 * Thrown where the agent cannot go on because something it depends on does not work; one of those that `dependsOn` in its manifest
 * names. It counts at the breaker of that dependency, which all agents share that need it, and not at the agent's own.
 */
export class DependencyError extends Error {
  /** As in the manifest, such as `github-api`. */
  readonly dependency: string;
  readonly [dependencyMarker] = true;

  constructor(dependency: string, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options);
    this.name = 'DependencyError';
    this.dependency = dependency;
  }
}

const isMarked = (error: unknown, symbol: symbol): boolean => typeof error === 'object' && error !== null && symbol in error;

/** Recognises the class across duplicate installs. */
export const isNotDone = (error: unknown): error is NotDoneError => isMarked(error, notDoneMarker);

/** Recognises the class across duplicate installs. */
export const isDependencyError = (error: unknown): error is DependencyError => isMarked(error, dependencyMarker);

/** The failure that is to be recorded; undefined where the error may pass. */
export function finalFailureOf(error: unknown): Failure | undefined {
  if (HiveError.is(error)) return error.entry.consequence === 'terminal' ? failureOf(error.code, error.message) : undefined;
  return isMarked(error, marker) ? failureOf((error as FinalError).code, (error as FinalError).message) : undefined;
}

const failureOf = (code: string, message: string): Failure => ({
  code: /^[A-Z][A-Z0-9_]{1,60}$/.test(code) ? code : 'STEP_FAILED',
  message: message.toWellFormed().replaceAll('\0', '').slice(0, 2_000),
});

/** What was recorded, as the code that asked gets it. @throws HiveError for a code of the catalogue, FinalError for any other */
export function outputOf(outcome: Outcome): unknown {
  if (outcome.ok) return outcome.output;
  const { code, message } = outcome.error;
  throw isErrorCode(code) ? new HiveError(code, message) : new FinalError(message, { code });
}
