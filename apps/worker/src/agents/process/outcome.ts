import type { ErrorCode, LeasedTicket, Outcome } from '@hivekeeper/contract';
import type { CommandResult } from '../../sandbox/process/index.ts';
import { failed, judge, type OutputRules, parseOutput, type SchemaCheck, type Told, toldFailure } from '../attempt/index.ts';

/** What is known of an attempt when its command has ended. */
export interface Attempt {
  readonly timeoutMs: number;
  readonly limits: LeasedTicket['agent']['limits'];
  /** The last `{"error": …}` on stderr, and what it blames. */
  readonly told?: Told | undefined;
  /** What the agent may blame. */
  readonly dependsOn?: LeasedTicket['agent']['dependsOn'];
}

interface Rules {
  readonly rules: OutputRules;
}

type Failed = Exclude<CommandResult['kind'], 'exited' | 'aborted'>;

/** A command's end other than by its own exit: the code of the catalogue, and what to say. */
const failures: Readonly<Record<Failed, { readonly code: ErrorCode; say(attempt: Attempt, result: CommandResult): string }>> = {
  signalled: { code: 'AGENT_KILLED', say: (_, result) => `The agent was ended by ${'signal' in result ? result.signal : 'a signal'}.` },
  'timed-out': { code: 'NODE_TIMED_OUT', say: ({ timeoutMs }) => `The agent did not finish within ${timeoutMs} ms.` },
  'out-of-memory': { code: 'AGENT_OUT_OF_MEMORY', say: ({ limits }) => `The agent used more than ${limits.memoryBytes} bytes of memory.` },
  'output-too-large': {
    code: 'AGENT_OUTPUT_TOO_LARGE',
    say: ({ limits }) => `The agent wrote more than ${limits.outputBytes} bytes to stdout.`,
  },
  'not-started': {
    code: 'AGENT_NOT_RUNNABLE',
    say: (_, result) => ('reason' in result ? result.reason : 'The agent could not be started.'),
  },
};

/** What an attempt came to; undefined where it was given up on our side and no result is wanted. */
export function outcomeOf(result: CommandResult, attempt: Attempt & Rules, check: SchemaCheck): Outcome | undefined {
  if (result.kind === 'aborted') return undefined;
  return failureOf(result, attempt) ?? judged(result.stdout, attempt, check);
}

/** Why a command failed; undefined where it ended well, or from our side. */
export function failureOf(result: CommandResult, attempt: Attempt): (Outcome & { readonly ok: false }) | undefined {
  if (result.kind === 'aborted') return undefined;
  if (result.kind === 'exited') return result.exitCode === 0 ? undefined : exitFailure(result, attempt);
  const kind = isHeapExhausted(result) ? 'out-of-memory' : result.kind;
  const { code, say } = failures[kind];
  return failed(code, say(attempt, result), result.stderrTail);
}

/** V8 aborts by itself when its heap is full or the system gives it no more, before the kernel's limit is reached. */
const isHeapExhausted = ({ kind, stderrTail }: CommandResult): boolean =>
  kind === 'signalled' && /(heap|process) out of memory/.test(stderrTail);

function exitFailure(result: CommandResult & { readonly kind: 'exited' }, { told, dependsOn }: Attempt) {
  if (told === undefined) return failed('AGENT_FAILED', `The agent ended with exit status ${result.exitCode}.`, result.stderrTail);
  return toldFailure(told, dependsOn, result.stderrTail);
}

function judged(stdout: Buffer, { rules }: Rules, check: SchemaCheck): Outcome {
  const output = parseOutput(stdout);
  return output.ok
    ? judge(output.value, rules, check)
    : failed('AGENT_OUTPUT_INVALID', `The output cannot be used: ${output.reason}.`, stdout.subarray(0, 4_096).toString('utf8'));
}
