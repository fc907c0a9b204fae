import type {
  SetBreaker,
  SetBudget,
  ListedBreaker,
  BreakerSubject,
  BudgetView,
  AgentVersions,
  AgentView,
  ApprovalLink,
  ApprovalView,
  BackupVerification,
  BackupView,
  Beat,
  BeatAnswer,
  BulkAnswer,
  BulkOrder,
  ChangeSchedule,
  CreateBackup,
  CreateLink,
  CreateSchedule,
  DeadTicketView,
  DecideApproval,
  Discover,
  Discovered,
  EffectState,
  EffectView,
  ListModelCalls,
  ModelCallView,
  ModelCost,
  ModelCostsQuery,
  EventView,
  ForkRun,
  HealthReport,
  InstanceChange,
  InstanceView,
  Issue,
  ListInstances,
  Published,
  PublishEvent,
  ListedAgent,
  RegisterAgent,
  RegisteredInstance,
  RegisterInstance,
  Rerun,
  ResolveEffect,
  RetryRun,
  RolloutInput,
  RunStatus,
  RunSummary,
  RunView,
  ScheduleDetail,
  SchedulePreview,
  ScheduleView,
  SignalRun,
  StartRun,
  Status,
  Why,
  WorkerView,
  WorkflowInput,
  WorkflowView,
  CreateKey,
  KeyView,
  MadeKey,
  RotateKey,
} from '@hivekeeper/contract';
import { type Call, type ClientOptions, callerOf } from './call.ts';
import { type StreamedEvent, type StreamOptions, followInstances, followRun } from './events.ts';
import { type WorkerCalls, workerCalls } from './worker.ts';

/** Which runs to list, newest first. */
export interface ListRuns {
  readonly workflow?: string;
  readonly status?: RunStatus;
  readonly limit?: number;
  /** The last id of the page before. */
  readonly before?: string;
}

/** Which dead tickets to list, newest run first; open ones where nothing is said. */
export interface ListDead {
  readonly state?: 'open' | 'resolved' | 'all';
  readonly workflow?: string;
  readonly limit?: number;
  /** The last id of the page before. */
  readonly before?: string;
}

/** Which effects to list, oldest first. */
export interface ListEffects {
  /** Of one run only. */
  readonly run?: string;
  readonly state?: EffectState;
  readonly limit?: number;
  /** The last id of the page before. */
  readonly after?: string;
}

/** Which calls of models to list, the latest first. */
export type ListCalls = Readonly<Partial<ListModelCalls>>;

/** Which events to list, newest first. */
export interface ListEvents {
  readonly type?: string;
  readonly key?: string;
  readonly limit?: number;
  /** The last id of the page before. */
  readonly before?: string;
}

/** A run that was accepted a moment ago. */
export type StartedRun = Pick<RunSummary, 'id' | 'status' | 'workflowVersion'>;

/** Makes a call that is made again count once. */
export interface OnceOptions {
  readonly idempotencyKey?: string | undefined;
}

/** The control plane's `/v1`, one method per route. Every method throws HiveError with the server's code, or UNREACHABLE. */
export interface Client {
  /** The same key with the same body gives the same run. */
  startRun(workflow: string, body: StartRun, options?: OnceOptions): Promise<StartedRun>;
  listRuns(query?: ListRuns): Promise<readonly RunSummary[]>;
  run(id: string): Promise<RunView>;
  cancelRun(id: string, reason?: string): Promise<RunSummary>;
  pauseRun(id: string, reason?: string): Promise<RunSummary>;
  resumeRun(id: string, reason?: string): Promise<RunSummary>;
  /** Larger is sooner. */
  reprioritiseRun(id: string, body: { readonly priority: number; readonly reason?: string | undefined }): Promise<RunSummary>;
  /** Counts once per `signalId`, or key. */
  signalRun(id: string, body: SignalRun, options?: OnceOptions): Promise<RunSummary>;
  /** A new run with the same workflow version and context: whole, or from what failed. */
  retryRun(id: string, body?: RetryRun, options?: OnceOptions): Promise<Rerun>;
  /** A new run of the same workflow version that goes on from a node. */
  forkRun(id: string, body: ForkRun, options?: OnceOptions): Promise<Rerun>;
  /** An order for many runs: a preview without `expectedCount`. */
  orderRuns(order: BulkOrder): Promise<BulkAnswer>;
  deadTickets(query?: ListDead): Promise<readonly DeadTicketView[]>;
  deadTicket(id: string): Promise<DeadTicketView>;
  /** Starts a run that goes on from what failed, once. */
  redriveTicket(id: string): Promise<DeadTicketView>;
  discardTicket(id: string, reason: string): Promise<DeadTicketView>;
  budgets(): Promise<readonly BudgetView[]>;
  setBudget(budget: Omit<SetBudget, 'name'> & { readonly name?: string }): Promise<BudgetView>;
  removeBudget(id: string): Promise<BudgetView>;
  breakers(): Promise<readonly ListedBreaker[]>;
  /** Closes a breaker, or opens it for a while. */
  setBreaker(subject: BreakerSubject, order: SetBreaker): Promise<ListedBreaker>;
  /** API keys, the newest first, also those that ended. */
  keys(): Promise<readonly KeyView[]>;
  /** Makes a key; only this answer has it. */
  createKey(key: CreateKey): Promise<MadeKey>;
  /** Makes another key of the name; the one before works for a while yet. */
  rotateKey(id: string, how: RotateKey): Promise<MadeKey>;
  revokeKey(id: string): Promise<KeyView>;
  why(id: string): Promise<Why>;
  /** Follows the run to its end, whichever control plane commits it, with its attempts' progress; reconnects where needed. */
  events(id: string, options?: StreamOptions): AsyncGenerator<StreamedEvent, void>;
  workflows(): Promise<readonly WorkflowView[]>;
  workflow(name: string, options?: { readonly version?: number }): Promise<WorkflowView>;
  deployWorkflow(definition: WorkflowInput): Promise<WorkflowView>;
  /** What deploying it would refuse; empty where it would be stored. @throws HiveError INVALID_REQUEST for a wrong shape */
  validateWorkflow(definition: WorkflowInput): Promise<{ readonly issues: readonly Issue[] }>;
  agents(): Promise<readonly ListedAgent[]>;
  agent(name: string): Promise<ListedAgent>;
  registerAgent(body: RegisterAgent): Promise<AgentView>;
  removeAgent(name: string): Promise<void>;
  agentVersions(name: string): Promise<AgentVersions>;
  /** Keeps another version beside the current one; no run gets it before a rollout. */
  addAgentVersion(name: string, body: RegisterAgent): Promise<AgentVersions>;
  /** Shares new runs among versions, from a second on. */
  rollOutAgent(name: string, body: RolloutInput): Promise<AgentVersions>;
  approvals(query?: { readonly status?: ApprovalView['status']; readonly runId?: string }): Promise<readonly ApprovalView[]>;
  approval(id: string): Promise<ApprovalView>;
  decideApproval(id: string, body: DecideApproval): Promise<ApprovalView>;
  /** A signed link by which whoever has it decides, once. It cannot be read again. */
  linkApproval(id: string, body?: CreateLink): Promise<ApprovalLink>;
  modelCalls(query?: ListCalls): Promise<readonly ModelCallView[]>;
  modelCosts(query?: Readonly<Partial<ModelCostsQuery>>): Promise<readonly ModelCost[]>;
  effects(query?: ListEffects): Promise<readonly EffectView[]>;
  effect(id: string): Promise<EffectView>;
  /** Says what became of an unknown effect; a run that waits for it goes on. The same again is no news. */
  resolveEffect(id: string, body: ResolveEffect): Promise<EffectView>;
  schedules(query?: { readonly workflow?: string }): Promise<readonly ScheduleView[]>;
  schedule(name: string): Promise<ScheduleDetail>;
  previewSchedule(name: string, query?: { readonly count?: number }): Promise<SchedulePreview>;
  /** The same again is the schedule there is. */
  createSchedule(body: CreateSchedule): Promise<ScheduleView>;
  changeSchedule(name: string, body: ChangeSchedule): Promise<ScheduleView>;
  pauseSchedule(name: string, reason?: string): Promise<ScheduleView>;
  resumeSchedule(name: string): Promise<ScheduleView>;
  removeSchedule(name: string): Promise<void>;
  /** Counts once per `eventId`. */
  publish(event: PublishEvent): Promise<Published>;
  listEvents(query?: ListEvents): Promise<readonly EventView[]>;
  /** The same name again is the same instance, under the same id. */
  registerInstance(body: RegisterInstance): Promise<RegisteredInstance>;
  /** @throws HiveError INSTANCE_GONE: register again */
  beat(id: string, body?: Beat): Promise<BeatAnswer>;
  deregister(id: string): Promise<void>;
  instances(query?: ListInstances): Promise<readonly InstanceView[]>;
  instance(id: string): Promise<InstanceView>;
  /** The best first, with the reasons. */
  discover(body: Discover): Promise<Discovered>;
  /** Every instance there is, then what becomes of them; connects again where it has to, and tells everything then. */
  instanceChanges(options?: Pick<StreamOptions, 'signal'>): AsyncGenerator<InstanceChange, void>;
  cordon(id: string, reason?: string): Promise<InstanceView>;
  uncordon(id: string, reason?: string): Promise<InstanceView>;
  drain(id: string, reason?: string): Promise<InstanceView>;
  workers(): Promise<readonly WorkerView[]>;
  status(): Promise<Status>;
  /** Whether work moves; stuck runs and canaries. */
  health(): Promise<HealthReport>;
  /** Begins a backup; {@link backup} waits for its end. */
  createBackup(body?: CreateBackup): Promise<BackupView>;
  backups(): Promise<readonly BackupView[]>;
  backup(name: string, options?: { readonly waitMs?: number }): Promise<BackupView>;
  /** Reads the whole backup, so it may take minutes. */
  verifyBackup(name: string): Promise<BackupVerification>;
  /** Resolves where the control plane takes work. */
  ready(): Promise<void>;
  readonly worker: WorkerCalls;
}

/** A client of one control plane. */
export function createClient(options: ClientOptions): Client {
  const call = callerOf(options);
  const runs = { ...runCalls(call, options), ...orderCalls(call) };
  return {
    ...runs,
    ...definitionCalls(call),
    ...timeCalls(call),
    ...registryCalls(call, options),
    ...operationCalls(call),
    worker: workerCalls(call),
  };
}

const part = encodeURIComponent;
// Below the 300 s after which fetch gives up by itself.
const verificationTimeoutMs = 290_000;

const runCalls = (call: Call, options: ClientOptions) =>
  ({
    startRun: (workflow, body, { idempotencyKey } = {}) =>
      call({
        method: 'POST',
        path: `/v1/workflows/${part(workflow)}/runs`,
        body,
        ...once(idempotencyKey),
      }),
    listRuns: (query = {}) => call({ path: '/v1/runs', query: { ...query } }),
    run: (id) => call({ path: `/v1/runs/${part(id)}` }),
    why: (id) => call({ path: `/v1/why/${part(id)}` }),
    events: (id, stream) => followRun(options, `/v1/runs/${part(id)}/events`, stream),
  }) satisfies Partial<Client>;

const once = (key: string | undefined) => (key === undefined ? {} : { headers: { 'idempotency-key': key } });

const orderCalls = (call: Call) => {
  const post = <T>(path: string, body: unknown, idempotencyKey?: string): Promise<T> =>
    call({ method: 'POST', path, body, ...once(idempotencyKey) });
  const run = (id: string, verb: string) => `/v1/runs/${part(id)}/${verb}`;
  const saying = (reason: string | undefined) => (reason === undefined ? {} : { reason });
  return {
    cancelRun: (id, reason) => post(run(id, 'cancel'), saying(reason)),
    pauseRun: (id, reason) => post(run(id, 'pause'), saying(reason)),
    resumeRun: (id, reason) => post(run(id, 'resume'), saying(reason)),
    reprioritiseRun: (id, body) => post(run(id, 'priority'), body),
    signalRun: (id, body, { idempotencyKey } = {}) => post(run(id, 'signals'), body, idempotencyKey),
    retryRun: (id, body = {}, { idempotencyKey } = {}) => post(run(id, 'retry'), body, idempotencyKey),
    forkRun: (id, body, { idempotencyKey } = {}) => post(run(id, 'fork'), body, idempotencyKey),
    orderRuns: (order) => post('/v1/runs/bulk', order),
    deadTickets: (query = {}) => call({ path: '/v1/dead', query: { ...query } }),
    deadTicket: (id) => call({ path: `/v1/dead/${part(id)}` }),
    redriveTicket: (id) => post(`/v1/dead/${part(id)}/redrive`, {}),
    discardTicket: (id, reason) => post(`/v1/dead/${part(id)}/discard`, { reason }),
    budgets: () => call({ path: '/v1/budgets' }),
    setBudget: (budget) => call({ method: 'PUT', path: '/v1/budgets', body: budget }),
    removeBudget: (id) => call({ method: 'DELETE', path: `/v1/budgets/${part(id)}` }),
    keys: () => call({ path: '/v1/keys' }),
    createKey: (body) => call({ method: 'POST', path: '/v1/keys', body }),
    rotateKey: (id, body) => call({ method: 'POST', path: `/v1/keys/${part(id)}/rotate`, body }),
    revokeKey: (id) => call({ method: 'DELETE', path: `/v1/keys/${part(id)}` }),
    breakers: () => call({ path: '/v1/breakers' }),
    setBreaker: ({ kind, name }, order) =>
      call({ method: 'PUT', path: `/v1/breakers/${kind === 'agent' ? 'agents' : 'dependencies'}/${part(name)}`, body: order }),
  } satisfies Partial<Client>;
};

const definitionCalls = (call: Call) =>
  ({
    workflows: () => call({ path: '/v1/workflows' }),
    workflow: (name, { version } = {}) => call({ path: `/v1/workflows/${part(name)}`, query: { version } }),
    deployWorkflow: (body) => call({ method: 'POST', path: '/v1/workflows', body }),
    validateWorkflow: (body) => call({ method: 'POST', path: '/v1/workflows/validate', body }),
    agents: () => call({ path: '/v1/agents' }),
    agent: (name) => call({ path: `/v1/agents/${part(name)}` }),
    registerAgent: (body) => call({ method: 'POST', path: '/v1/agents', body }),
    agentVersions: (name) => call({ path: `/v1/agents/${part(name)}/rollout` }),
    addAgentVersion: (name, body) => call({ method: 'POST', path: `/v1/agents/${part(name)}/versions`, body }),
    rollOutAgent: (name, body) => call({ method: 'PUT', path: `/v1/agents/${part(name)}/rollout`, body }),
    removeAgent: (name) => call({ method: 'DELETE', path: `/v1/agents/${part(name)}` }),
  }) satisfies Partial<Client>;

const timeCalls = (call: Call) =>
  ({
    schedules: (query = {}) => call({ path: '/v1/schedules', query: { ...query } }),
    schedule: (name) => call({ path: `/v1/schedules/${part(name)}` }),
    previewSchedule: (name, query = {}) => call({ path: `/v1/schedules/${part(name)}/preview`, query: { ...query } }),
    createSchedule: (body) => call({ method: 'POST', path: '/v1/schedules', body }),
    changeSchedule: (name, body) => call({ method: 'PUT', path: `/v1/schedules/${part(name)}`, body }),
    pauseSchedule: (name, reason) =>
      call({ method: 'POST', path: `/v1/schedules/${part(name)}/pause`, body: reason === undefined ? {} : { reason } }),
    resumeSchedule: (name) => call({ method: 'POST', path: `/v1/schedules/${part(name)}/resume`, body: {} }),
    removeSchedule: (name) => call({ method: 'DELETE', path: `/v1/schedules/${part(name)}` }),
    publish: (body) => call({ method: 'POST', path: '/v1/events', body }),
    listEvents: (query = {}) => call({ path: '/v1/events', query: { ...query } }),
  }) satisfies Partial<Client>;

const registryCalls = (call: Call, options: ClientOptions) => {
  const order = (id: string, verb: string, reason: string | undefined): Promise<InstanceView> =>
    call({ method: 'POST', path: `/v1/registry/instances/${part(id)}/${verb}`, body: reason === undefined ? {} : { reason } });
  return {
    registerInstance: (body) => call({ method: 'POST', path: '/v1/registry/instances', body }),
    beat: (id, body = {}) => call({ method: 'POST', path: `/v1/registry/instances/${part(id)}/heartbeat`, body }),
    deregister: (id) => call({ method: 'DELETE', path: `/v1/registry/instances/${part(id)}` }),
    instances: (query = {}) => call({ path: '/v1/registry/instances', query: { ...query } }),
    instance: (id) => call({ path: `/v1/registry/instances/${part(id)}` }),
    discover: (body) => call({ method: 'POST', path: '/v1/registry/discover', body }),
    instanceChanges: (stream) => followInstances(options, '/v1/registry/watch', stream),
    cordon: (id, reason) => order(id, 'cordon', reason),
    uncordon: (id, reason) => order(id, 'uncordon', reason),
    drain: (id, reason) => order(id, 'drain', reason),
  } satisfies Partial<Client>;
};

const operationCalls = (call: Call) =>
  ({
    approvals: (query = {}) => call({ path: '/v1/approvals', query: { ...query } }),
    approval: (id) => call({ path: `/v1/approvals/${part(id)}` }),
    linkApproval: (id, body = {}) => call({ method: 'POST', path: `/v1/approvals/${part(id)}/links`, body }),
    decideApproval: (id, body) => call({ method: 'POST', path: `/v1/approvals/${part(id)}/decision`, body }),
    modelCalls: (query = {}) => call({ path: '/v1/model-calls', query: { ...query } }),
    modelCosts: (query = {}) => call({ path: '/v1/model-costs', query: { ...query } }),
    effects: (query = {}) => call({ path: '/v1/effects', query: { ...query } }),
    effect: (id) => call({ path: `/v1/effects/${part(id)}` }),
    resolveEffect: (id, body) => call({ method: 'POST', path: `/v1/effects/${part(id)}/resolve`, body }),
    workers: () => call({ path: '/v1/workers' }),
    status: () => call({ path: '/v1/status' }),
    health: () => call({ path: '/v1/health' }),
    createBackup: (body = {}) => call({ method: 'POST', path: '/v1/backups', body }),
    backups: () => call({ path: '/v1/backups' }),
    backup: (name, { waitMs } = {}) => call({ path: `/v1/backups/${part(name)}`, query: { waitMs } }),
    verifyBackup: (name) => call({ path: `/v1/backups/${part(name)}/verification`, timeoutMs: verificationTimeoutMs }),
    ready: () => call({ path: '/ready' }),
  }) satisfies Partial<Client>;
