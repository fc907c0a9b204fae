import { agent2389Errors } from './agent2389/errors.ts';
import { entry, type ErrorEntry } from './error-entry.ts';
import { modelErrors } from './model-errors.ts';

/**
 * Every error the platform can give. `docs/errors.md` lists the same codes (a test proves it); a code is never reused.
 */
export const errorCatalogue = {
  // The call
  INVALID_REQUEST: entry(400, ['caller', 'terminal'], {
    cause: 'The request does not have the documented shape.',
    remedy: 'Correct the fields that `issues` names.',
  }),
  COMMAND_INVALID: entry(400, ['caller', 'terminal'], {
    cause: 'The command line is not one that `hive` understands.',
    remedy: 'Correct what the message names; `hive <command> --help` lists what can be typed.',
  }),
  MALFORMED_JSON: entry(400, ['caller', 'terminal'], {
    cause: 'The body is not JSON.',
    remedy: 'Send one JSON document with content-type application/json.',
  }),
  BODY_TOO_LARGE: entry(413, ['caller', 'terminal'], {
    cause: 'The body is larger than the limit.',
    remedy: 'Send less, or pass a reference instead of the data.',
  }),
  UNSUPPORTED_MEDIA_TYPE: entry(415, ['caller', 'terminal'], {
    cause: 'The content type is not one this route reads.',
    remedy: 'Send application/json.',
  }),
  UNSTORABLE_VALUE: entry(422, ['caller', 'terminal'], {
    cause: 'The body holds a value that cannot be stored unchanged (U+0000, half a surrogate pair, a prototype key, nesting beyond 64).',
    remedy: 'Remove the value at the path that `issues` names.',
  }),
  RATE_LIMITED: entry(429, ['caller', 'retry'], {
    cause: 'This caller made more calls than it may in a minute.',
    remedy: 'Wait for the seconds that Retry-After says; the RateLimit headers tell how many calls are left.',
  }),
  ROUTE_NOT_FOUND: entry(404, ['caller', 'terminal'], { cause: 'There is no such route.', remedy: 'See /v1/openapi.json.' }),
  METHOD_NOT_ALLOWED: entry(405, ['caller', 'terminal'], {
    cause: 'The route exists, but not with this method.',
    remedy: 'Use a method that the Allow header lists.',
  }),
  NOT_FOUND: entry(404, ['caller', 'terminal'], {
    cause: 'There is no such thing, or not for you.',
    remedy: 'Check the id; list what there is.',
  }),
  ALREADY_EXISTS: entry(409, ['caller', 'terminal'], {
    cause: 'Something with this name exists already.',
    remedy: 'Choose another name, or change what exists.',
  }),
  STILL_IN_USE: entry(409, ['caller', 'terminal'], { cause: 'It is used by something else.', remedy: 'Remove or change its users first.' }),
  INSTANCE_GONE: entry(409, ['caller', 'terminal'], {
    cause: 'The instance said nothing for so long that it counts as gone, or it was deregistered.',
    remedy: 'Register again under the same name; the id stays the same.',
  }),
  INSTANCE_REPLACED: entry(409, ['caller', 'terminal'], {
    cause: 'Another process has registered under this name since.',
    remedy: 'Stop one of the two, or give it a name of its own.',
  }),
  REGISTRY_FULL: entry(409, ['caller', 'terminal'], {
    cause: 'As many instances are registered as one tenant may have (10,000).',
    remedy: 'Deregister those that are not needed; give restarted agents the same name again, instead of a new one each time.',
  }),
  IDEMPOTENCY_KEY_REUSED: entry(422, ['caller', 'terminal'], {
    cause: 'The Idempotency-Key was used before with another body.',
    remedy: 'Use a new key for a new request.',
  }),
  // Who may
  UNAUTHENTICATED: entry(401, ['caller', 'terminal'], {
    cause: 'The request carries no valid API key.',
    remedy: 'Send `Authorization: Bearer <key>`; the first key is in admin.key in the data directory.',
  }),
  FORBIDDEN: entry(403, ['caller', 'terminal'], {
    cause: 'The key is valid, but its role does not allow this.',
    remedy: 'Use a key with the role that the route needs.',
  }),
  HOST_NOT_ALLOWED: entry(421, ['caller', 'terminal'], {
    cause: 'Host or Origin names another site; without authentication only loopback is served.',
    remedy: 'Call http://127.0.0.1:<port>, or start with authentication.',
  }),
  // Workflows and agents
  WORKFLOW_INVALID: entry(422, ['caller', 'terminal'], {
    cause: 'The workflow breaks a rule: a cycle, an unknown or repeated node, an expression or template that does not parse.',
    remedy: 'Correct the nodes that `issues` names; `hive workflows validate FILE` checks without storing.',
  }),
  UNKNOWN_AGENT: entry(422, ['caller', 'terminal'], {
    cause: 'The workflow names an agent that is not registered.',
    remedy: 'Register the agent first, or correct its name; `hive agents` lists them.',
  }),
  WORKFLOW_NOT_ACTIVE: entry(409, ['caller', 'terminal'], {
    cause: 'The workflow is not ACTIVE.',
    remedy: 'Set its status to ACTIVE, or start another workflow.',
  }),
  SCHEDULE_INVALID: entry(422, ['caller', 'terminal'], {
    cause: 'The schedule can never be served: its expression, or its time zone, does not exist, or its jitter exceeds its pace.',
    remedy: 'Correct what `issues` names.',
  }),
  SCHEDULE_DECLARED: entry(409, ['caller', 'terminal'], {
    cause: 'A workflow declares this schedule in its trigger.',
    remedy: 'Change the trigger and deploy the workflow; pausing and resuming work as for any other.',
  }),
  AGENT_INVALID: entry(422, ['caller', 'terminal'], {
    cause: 'The agent cannot be registered: no readable manifest or entry at its path, or its install failed.',
    remedy: 'Correct what the message names.',
  }),
  // Runs
  RUN_FINISHED: entry(409, ['caller', 'terminal'], {
    cause: 'The run has ended; nothing can change it.',
    remedy: 'Start a new run, or retry this one.',
  }),
  RUN_NOT_RETRYABLE: entry(409, ['caller', 'terminal'], {
    cause: 'Only a run that FAILED, TIMED_OUT or was CANCELLED can be retried, and none that undoes another one be forked.',
    remedy: 'Wait for its end, or start a new run.',
  }),
  RUN_UNFINISHED: entry(409, ['caller', 'terminal'], {
    cause: 'The run has not ended: what it is doing now would be done twice.',
    remedy: 'Wait for its end, or cancel it first.',
  }),
  COUNT_CHANGED: entry(409, ['caller', 'terminal'], {
    cause: 'Another number of runs matches than was expected; nothing was done.',
    remedy: 'Look at the preview again, and repeat the order with its count.',
  }),
  DEAD_TICKET_RESOLVED: entry(409, ['caller', 'terminal'], {
    cause: 'Somebody dealt with the dead ticket before, and otherwise.',
    remedy: 'See what became of it with `hive dead show`.',
  }),
  APPROVAL_ALREADY_DECIDED: entry(409, ['caller', 'terminal'], {
    cause: 'The approval was decided, expired or cancelled before.',
    remedy: 'Look at the run; nothing is left to decide.',
  }),
  APPROVAL_REJECTED: entry(409, ['caller', 'terminal'], {
    cause: 'A person refused the node.',
    remedy: 'Read the notes of the approval; start a new run when the reason is gone.',
  }),
  APPROVAL_EXPIRED: entry(409, ['caller', 'terminal'], {
    cause: 'Nobody decided before the approval expired.',
    remedy: 'Retry the run and decide in time.',
  }),
  APPROVAL_INPUT_CHANGED: entry(409, ['caller', 'terminal'], {
    cause: 'The decision was made about another input than the one that waits.',
    remedy: 'Read the approval again, and decide about what it shows now.',
  }),
  APPROVER_NOT_ALLOWED: entry(403, ['caller', 'terminal'], {
    cause: 'Whoever started the run, and every worker and agent, may not decide this approval.',
    remedy: 'Ask somebody else to decide.',
  }),
  LINK_INVALID: entry(404, ['caller', 'terminal'], {
    cause: 'The link to an approval is not one that was made here, or it was damaged on its way.',
    remedy: 'Open the link exactly as it was sent, or ask for a new one.',
  }),
  LINK_EXPIRED: entry(410, ['caller', 'terminal'], {
    cause: 'The link to an approval was opened after its time.',
    remedy: 'Ask for a new link, or decide with `hive approve`.',
  }),
  SIGNAL_EXPIRED: entry(504, ['caller', 'terminal'], {
    cause: 'The signal or event that the node waited for did not come in time.',
    remedy: 'Find out why its sender is silent; retry the run, or raise expiresAfterMs.',
  }),
  SIGNALS_TOO_MANY: entry(429, ['caller', 'terminal'], {
    cause: 'The run got more signals than one run may (10,000).',
    remedy: 'Send fewer, larger signals, or start a run per signal.',
  }),
  SUSPENDED_TOO_OFTEN: entry(500, ['agent', 'terminal'], {
    cause: 'One execution of the agent waited more than 1,000 times.',
    remedy: 'Split its loop into several runs or nodes.',
  }),
  RUN_COMPENSATED: entry(409, ['caller', 'terminal'], {
    cause: 'What the run did was undone; there is nothing to go on from.',
    remedy: 'Retry the whole run.',
  }),
  RUN_CANCELLED: entry(409, ['caller', 'terminal'], {
    cause: 'The run was cancelled.',
    remedy: 'Start a new run if the work is still wanted.',
  }),
  RUN_TIMED_OUT: entry(504, ['caller', 'terminal'], {
    cause: 'The run did not end within the workflow’s timeoutMs.',
    remedy: 'See which node was slow with `hive run show`; raise timeoutMs if that is expected.',
  }),
  TEMPLATE_UNRESOLVED: entry(422, ['caller', 'terminal'], {
    cause: 'A template or expression names a value that is not there, or cannot be evaluated.',
    remedy: 'Correct the path; `hive run show` prints what each node gave.',
  }),
  MAP_NOT_ARRAY: entry(422, ['caller', 'terminal'], {
    cause: 'The `map` template gave something else than an array of at most 10,000 elements.',
    remedy: 'Point `map` at an array.',
  }),
  RUN_TOO_LARGE: entry(422, ['caller', 'terminal'], {
    cause: 'The run would need more than 1,000,000 tickets.',
    remedy: 'Map over fewer elements, or split the work into several runs.',
  }),
  // Effects and steps
  EFFECT_AT_WORK: entry(409, ['caller', 'terminal'], {
    cause: 'The effect is being made right now: an attempt was told to make it and has not said how it ended.',
    remedy: 'Wait until the attempt ends; `hive effects show` tells where the effect stands.',
  }),
  EFFECT_ALREADY_KNOWN: entry(409, ['caller', 'terminal'], {
    cause: 'What became of the effect is recorded already, and it is something else.',
    remedy: 'Look at it with `hive effects show`; nothing is left to resolve.',
  }),
  EFFECT_NOT_DISPATCHED: entry(409, ['agent', 'terminal'], {
    cause: 'Only the attempt that was told to make an effect may say how it ended, and only an unknown effect may be probed.',
    remedy: 'Begin the effect first, and do what the answer says.',
  }),
  AGENT_STEPS_MISUSED: entry(500, ['agent', 'terminal'], {
    cause: 'The agent gave a name to another kind of step than in an earlier execution, or called one step inside of another.',
    remedy: 'Keep the order of calls that have the same name, give a changed step a new name, and call steps side by side.',
  }),
  AGENT_CALLS_TOO_MANY: entry(429, ['agent', 'terminal'], {
    cause: 'The agent asked its worker for more than one execution may (10,000 calls, 64 at a time, 64 MiB in all).',
    remedy: 'Split its loop into several nodes or runs, and keep data in granted paths.',
  }),
  AGENT_SOCKET_ABSENT: entry(503, ['caller', 'terminal'], {
    cause: 'The agent uses durable steps or effects, but was not started by a worker: HIVE_SOCKET is not set.',
    remedy: 'Register the agent and start a run of it, or pass a context of your own in tests.',
  }),
  // Tickets and workers
  TICKET_NOT_HELD: entry(409, ['platform', 'terminal'], {
    cause: 'The fencing token is not the ticket’s current one: the lease ran out, the run ended, or somebody else holds it.',
    remedy: 'Drop the work; its result is not wanted.',
  }),
  LEASE_LOST: entry(500, ['platform', 'retry'], {
    cause: 'The lease ran out, or the worker that held it vanished.',
    remedy: 'Nothing: the ticket is issued again. See the worker’s log for what ended it.',
  }),
  LEASE_LOST_TOO_OFTEN: entry(500, ['platform', 'pause'], {
    cause: 'Every worker that took the ticket vanished before it finished.',
    remedy: 'See the workers’ logs for what kills them; the agent may exhaust the machine.',
  }),
  SHUTTING_DOWN: entry(503, ['platform', 'retry'], {
    cause: 'The process is draining and takes no new work.',
    remedy: 'Retry; another process or the restarted one answers.',
  }),
  // Agents at work
  NODE_TIMED_OUT: entry(504, ['agent', 'retry'], {
    cause: 'The agent did not finish within the node’s timeoutMs and was killed.',
    remedy: 'Raise timeoutMs, or find out why it is slow.',
  }),
  AGENT_FAILED: entry(500, ['agent', 'retry'], {
    cause: 'The agent ended with an exit status other than 0, or answered its task with an error.',
    remedy: 'Read its message and the excerpt of its stderr.',
  }),
  DEPENDENCY_FAILED: entry(502, ['agent', 'retry'], {
    cause: 'The agent says that something it depends on does not work; its message names it.',
    remedy: 'Mend the dependency. Where it stands: hive breakers.',
  }),
  AGENT_KILLED: entry(500, ['agent', 'retry'], {
    cause: 'The agent was ended by a signal.',
    remedy: 'Read the excerpt; look for a crash in native code or an outside kill.',
  }),
  AGENT_OUT_OF_MEMORY: entry(500, ['agent', 'retry'], {
    cause: 'The agent used more memory than its limit.',
    remedy: 'Raise limits.memoryBytes in its manifest, or give it less input.',
  }),
  AGENT_OUTPUT_TOO_LARGE: entry(500, ['agent', 'terminal'], {
    cause: 'The agent wrote more to stdout than its limit.',
    remedy: 'Write large results to a granted path and return the path.',
  }),
  AGENT_OUTPUT_INVALID: entry(500, ['agent', 'retry'], {
    cause: 'Stdout was not exactly one JSON document that can be stored.',
    remedy: 'Print logs to stderr and one JSON document to stdout; the excerpt shows what came.',
  }),
  AGENT_OUTPUT_SCHEMA: entry(500, ['agent', 'retry'], {
    cause: 'The output breaks the outputSchema of the agent’s capability.',
    remedy: 'Correct the agent or the schema.',
  }),
  AGENT_INPUT_SCHEMA: entry(422, ['caller', 'terminal'], {
    cause: 'The input breaks the inputSchema of the agent’s capability, or an agent over MQTT finds its task invalid.',
    remedy: 'Correct the node’s input.',
  }),
  AGENT_UNKNOWN_ACTION: entry(422, ['caller', 'terminal'], {
    cause: 'The agent has no capability of that name.',
    remedy: 'Use an action that `hive agents` lists.',
  }),
  AGENT_NOT_RUNNABLE: entry(500, ['platform', 'terminal'], {
    cause: 'The worker cannot start the agent: its files or its runtime are missing there.',
    remedy: 'Install the runtime, or make the agent’s directory present on the worker.',
  }),
  SANDBOX_UNAVAILABLE: entry(503, ['platform', 'pause'], {
    cause: 'The agent is untrusted and the worker has no working sandbox.',
    remedy: 'Install bubblewrap and allow user namespaces; `hive doctor` says what is missing.',
  }),
  REPOSITORY_UNUSABLE: entry(422, ['caller', 'terminal'], {
    cause: 'What the input names is no git repository, or has no such branch, tag or commit.',
    remedy: 'Correct the input; the excerpt is what git said.',
  }),
  EGRESS_REFUSED: entry(403, ['platform', 'terminal'], {
    cause: 'The agent is behind HTTP at an address that this worker may not reach.',
    remedy: 'Correct the address, or set HIVE_HTTP_HOSTS of the worker, and HIVE_HTTP_PRIVATE=true for one in the local network.',
  }),
  AGENT_UNREACHABLE: entry(502, ['agent', 'retry'], {
    cause: 'The agent behind HTTP was not there: no such host, no connection, no TLS, or no answer in HTTP.',
    remedy: 'See whether it runs, and whether the worker’s machine reaches its address.',
  }),
  AGENT_BUSY: entry(503, ['agent', 'retry'], {
    cause: 'The agent behind HTTP takes no more work at the moment (408, 425, 429, 503), and said no time, or too often.',
    remedy: 'Give it a `rate` or `concurrency` in its manifest, or let it answer with Retry-After of at most an hour.',
  }),
  AGENT_REFUSED: entry(422, ['agent', 'terminal'], {
    cause: 'The agent behind HTTP answered that it does not take such a request (any other 4xx, or a redirect).',
    remedy: 'Read the excerpt: the address, the secret or the input is wrong.',
  }),
  CALLBACK_INVALID: entry(404, ['caller', 'terminal'], {
    cause: 'This address was given to no agent.',
    remedy: 'Call back to the `callbackUrl` of the request, unchanged.',
  }),
  CALLBACK_EARLY: entry(425, ['caller', 'retry'], {
    cause: 'The agent called back before its 202 had arrived.',
    remedy: 'Answer the request first; then repeat the call after the seconds that Retry-After says.',
  }),
  CALLBACK_STALE: entry(410, ['caller', 'terminal'], {
    cause: 'The attempt is over: it was called back too late, the run was cancelled or has ended, or another attempt was begun.',
    remedy: 'Drop the work; its result is not wanted.',
  }),
  PATH_NOT_ALLOWED: entry(403, ['caller', 'terminal'], {
    cause: 'The input grants the agent a path outside the worker’s workspace roots.',
    remedy: 'Start the worker with `--root DIR`, or use a path below one.',
  }),
  // The platform
  DATABASE_UNAVAILABLE: entry(503, ['platform', 'retry'], {
    cause: 'PostgreSQL does not answer, or cannot store anything at the moment (its disk is full, it only reads).',
    remedy: 'Retry; see `hive doctor` and the database’s log.',
  }),
  STALLED: entry(503, ['platform', 'retry'], {
    cause: 'Work waits and nothing moves it, though somebody could.',
    remedy: 'See `hive doctor`: it names the part that holds the work up.',
  }),
  DATABASE_UNSAFE: entry(500, ['platform', 'pause'], {
    cause:
      'The database would lose acknowledged work or ignore tenant isolation (fsync, synchronous_commit or full_page_writes off; a role that bypasses row security).',
    remedy: 'Change the setting or the role that the message names.',
  }),
  DATABASE_MIGRATION: entry(500, ['platform', 'pause'], {
    cause:
      'The schema cannot be brought to this version: a migration changed after it was applied, the database is newer, or a lock was not free.',
    remedy: 'Run the version that wrote the schema, or restore the original migration file.',
  }),
  BACKUP_INVALID: entry(422, ['caller', 'terminal'], {
    cause: 'The backup is not whole: a part is missing, cut off or changed, or its audit chain is broken.',
    remedy: 'Use another backup; `hive backup verify` tells which parts are at fault.',
  }),
  BACKUP_SCHEMA_UNKNOWN: entry(422, ['caller', 'terminal'], {
    cause: 'The backup has a schema that this version does not know: it was made by a newer one, or by one with other migrations.',
    remedy: 'Restore with the version that made the backup, or a newer one.',
  }),
  BACKUP_RUNNING: entry(409, ['caller', 'retry'], {
    cause: 'This control plane is writing another backup.',
    remedy: 'Wait for it: `hive backup list`.',
  }),
  BACKUP_NOT_WRITTEN: entry(500, ['platform', 'retry'], {
    cause: 'The backup could not be written; nothing of it is left.',
    remedy: 'Correct what the message names (space, rights, the directory of HIVE_BACKUPS), and try again.',
  }),
  RESTORE_TARGET_NOT_EMPTY: entry(409, ['caller', 'terminal'], {
    cause: 'There are tables already where the backup should be restored.',
    remedy: 'Restore into a new --data directory or an empty database; move the old one away rather than delete it.',
  }),
  RESTORE_UNFINISHED: entry(409, ['caller', 'pause'], {
    cause: 'A restore into this data directory did not finish, or its database was put back to an older state since.',
    remedy: 'Repeat the restore; to give it up, remove restore.json from the data directory.',
  }),
  DATA_DIRECTORY_IN_USE: entry(409, ['caller', 'terminal'], {
    cause: 'Another process holds the data directory.',
    remedy: 'Stop the process that the message names, or use another --data.',
  }),
  PORT_IN_USE: entry(409, ['caller', 'terminal'], {
    cause: 'Another process listens on the port.',
    remedy: 'Use another --port, or stop the other process.',
  }),
  CONFIGURATION_INVALID: entry(500, ['caller', 'terminal'], {
    cause: 'An option or environment variable has a value that cannot be used.',
    remedy: 'Correct the variable that the message names; docs/configuration.md lists them.',
  }),
  ...agent2389Errors,
  ...modelErrors,
  UNREACHABLE: entry(503, ['caller', 'retry'], {
    cause: 'No control plane answers at the address.',
    remedy: 'Start one with `hive up`, or pass --url.',
  }),
  INTERNAL: entry(500, ['platform', 'retry'], {
    cause: 'A fault of ours.',
    remedy: 'Report it with the request id; the log has the details.',
  }),
} as const satisfies Record<string, ErrorEntry>;

/** A code of the catalogue. */
export type ErrorCode = keyof typeof errorCatalogue;

/** True where the text is a code of the catalogue. */
export const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(errorCatalogue, code);
