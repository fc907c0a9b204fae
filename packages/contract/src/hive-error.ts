import { type ErrorCode, errorCatalogue } from './error-codes.ts';
import type { ErrorEntry } from './error-entry.ts';

/** Where in the input the fault lies, and what is wrong there. */
export interface Issue {
  /** JSON pointer, e.g. `/nodes/3/needs/0`; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

const marker = Symbol.for('hivekeeper.error');

/** The one error class: a code of the catalogue, a message for this case, and where the input is at fault. */
export class HiveError extends Error {
  readonly code: ErrorCode;
  readonly issues: readonly Issue[];
  readonly [marker] = true;

  constructor(code: ErrorCode, message?: string, options: { readonly issues?: readonly Issue[]; readonly cause?: unknown } = {}) {
    super(message ?? errorCatalogue[code].cause, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HiveError';
    this.code = code;
    this.issues = options.issues ?? [];
  }

  get entry(): ErrorEntry {
    return errorCatalogue[this.code];
  }

  /** Recognises the class across duplicate installs. */
  static is(error: unknown): error is HiveError {
    return typeof error === 'object' && error !== null && marker in error;
  }
}

/** The body of every error answer of `/v1`. */
export interface ErrorBody {
  readonly error: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly remedy: string;
    readonly issues?: readonly Issue[];
    readonly requestId?: string;
  };
}

/** The error as the API tells it. */
export const errorBodyOf = (error: HiveError, requestId?: string): ErrorBody => ({
  error: {
    code: error.code,
    message: error.message,
    remedy: error.entry.remedy,
    ...(error.issues.length > 0 && { issues: error.issues }),
    ...(requestId !== undefined && { requestId }),
  },
});
