import { type ErrorCode, errorCatalogue, isErrorCode } from '@hivekeeper/contract/error-codes';
import { type ErrorBody, HiveError, errorBodyOf } from '@hivekeeper/contract/hive-error';
import type { Colors } from './output.ts';

const nextCommands: Partial<Record<ErrorCode, string>> = {
  COMMAND_INVALID: 'hive --help',
  INVALID_REQUEST: 'hive --help',
  AGENT_INVALID: 'hive agents register --help',
  NOT_FOUND: 'hive runs',
  UNAUTHENTICATED: 'hive status --token-file .hivekeeper/admin.key',
  WORKFLOW_INVALID: 'hive workflows validate <file>',
  UNKNOWN_AGENT: 'hive agents',
  WORKFLOW_NOT_ACTIVE: 'hive workflows list',
  SCHEDULE_INVALID: 'hive schedules create --help',
  SCHEDULE_DECLARED: 'hive workflows deploy <file>',
  RUN_FINISHED: 'hive runs',
  RUN_NOT_RETRYABLE: 'hive runs',
  RUN_UNFINISHED: 'hive runs',
  RUN_COMPENSATED: 'hive runs',
  COUNT_CHANGED: 'hive runs',
  EFFECT_AT_WORK: 'hive effects show <id>',
  EFFECT_ALREADY_KNOWN: 'hive effects show <id>',
  DEAD_TICKET_RESOLVED: 'hive dead list --state all',
  APPROVAL_ALREADY_DECIDED: 'hive approvals',
  APPROVAL_INPUT_CHANGED: 'hive approvals',
  UNREACHABLE: 'hive up',
  BACKUP_INVALID: 'hive backup list',
  BACKUP_RUNNING: 'hive backup list',
  CONFIGURATION_INVALID: 'hive --help',
};

/** Any error as one of the catalogue. */
export const asHiveError = (error: unknown): HiveError =>
  HiveError.is(error) ? error : new HiveError('INTERNAL', error instanceof Error ? error.message : String(error), { cause: error });

/** Exit status of `hive` when it ends with this error. */
export const exitCodeOf = (code: string): number => (isErrorCode(code) ? errorCatalogue[code].exitCode : 1);

/** How to list things of the kind that was looked for, by the word the control plane uses. */
const listings: Readonly<Record<string, string>> = {
  agent: 'hive agents',
  approval: 'hive approvals',
  run: 'hive runs',
  workflow: 'hive workflows list',
};

/** What to type next after an error. */
function nextCommandAfter({ code, message }: HiveError): string {
  const kind = code === 'NOT_FOUND' ? (/^there is no (\w+)/.exec(message)?.[1] ?? '') : '';
  return listings[kind] ?? nextCommands[code] ?? 'hive doctor';
}

/** The error as a document: the API's own shape, and the next command. */
export const failureDocument = (error: HiveError): ErrorBody & { readonly nextCommand: string } => ({
  ...errorBodyOf(error),
  nextCommand: nextCommandAfter(error),
});

/** The error for people: what happened, where, what to do, what to type next. */
export function failureText(error: HiveError, colors: Colors): string {
  const issues = error.issues.map(({ path, message }) => `  ${colors.yellow(path === '' ? '(whole)' : path)}  ${message}`);
  const trace = error.code === 'INTERNAL' && error.cause instanceof Error ? [colors.dim(error.cause.stack ?? '')] : [];
  return [
    `${colors.red(error.code)}: ${error.message}`,
    ...issues,
    ...trace,
    '',
    error.entry.remedy,
    `${colors.dim('Next:')} ${nextCommandAfter(error)}`,
  ].join('\n');
}
