/** What the platform does next. `terminal`: nothing; `retry`: the same call may succeed later; `pause`: a person must act. */
export type Consequence = 'terminal' | 'retry' | 'pause';
/** Whose mistake it is. */
export type Fault = 'caller' | 'agent' | 'platform';

/** One entry of the catalogue. */
export interface ErrorEntry {
  readonly httpStatus: number;
  readonly consequence: Consequence;
  readonly fault: Fault;
  /** What it means. */
  readonly cause: string;
  /** What the reader does about it. */
  readonly remedy: string;
  /** Exit status of `hive` when it ends with this error. */
  readonly exitCode: number;
}

/** An entry of the catalogue; the exit status follows from the rest. */
export const entry = (
  httpStatus: number,
  [fault, consequence]: readonly [Fault, Consequence],
  text: { cause: string; remedy: string },
): ErrorEntry => ({
  httpStatus,
  fault,
  consequence,
  ...text,
  exitCode: exitCodeOf(httpStatus, fault),
});

/** 2 the call was wrong, 3 not allowed, 4 not there, 5 in conflict, 6 not available now, 1 everything else. */
function exitCodeOf(httpStatus: number, fault: Fault): number {
  if (httpStatus === 401 || httpStatus === 403 || httpStatus === 421) return 3;
  if (httpStatus === 404) return 4;
  if (httpStatus === 409) return 5;
  if (httpStatus === 503) return 6;
  return fault === 'caller' ? 2 : 1;
}
