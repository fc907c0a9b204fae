import type {
  AgentView,
  ApprovalView,
  DecideApproval,
  Issue,
  RegisterAgent,
  RunStatus,
  RunSummary,
  RunView,
  StartRun,
  Status,
  Why,
  WorkerView,
  WorkflowInput,
  WorkflowView,
} from '@hivekeeper/contract';
import { type Call, type ClientOptions, callerOf } from './call.ts';
import { type StreamedEvent, type StreamOptions, followRun } from './events.ts';
import { type WorkerCalls, workerCalls } from './worker.ts';

/** Which runs to list, newest first. */
export interface ListRuns {
  readonly workflow?: string;
  readonly status?: RunStatus;
  readonly limit?: number;
  /** The last id of the page before. */
  readonly before?: string;
}

/** A run that was accepted a moment ago. */
export type StartedRun = Pick<RunSummary, 'id' | 'status' | 'workflowVersion'>;

/** The control plane's `/v1`, one method per route. Every method throws HiveError with the server's code, or UNREACHABLE. */
export interface Client {
  /** The same key with the same body gives the same run. */
  startRun(workflow: string, body: StartRun, options?: { readonly idempotencyKey?: string }): Promise<StartedRun>;
  listRuns(query?: ListRuns): Promise<readonly RunSummary[]>;
  run(id: string): Promise<RunView>;
  cancelRun(id: string, reason?: string): Promise<RunSummary>;
  /** A new run with the same workflow version and context. */
  retryRun(id: string): Promise<RunSummary>;
  why(id: string): Promise<Why>;
  /** Follows the run to its end, whichever control plane commits it, with its attempts' progress; reconnects where needed. */
  events(id: string, options?: StreamOptions): AsyncGenerator<StreamedEvent, void>;
  workflows(): Promise<readonly WorkflowView[]>;
  workflow(name: string, options?: { readonly version?: number }): Promise<WorkflowView>;
  deployWorkflow(definition: WorkflowInput): Promise<WorkflowView>;
  /** What deploying it would refuse; empty where it would be stored. @throws HiveError INVALID_REQUEST for a wrong shape */
  validateWorkflow(definition: WorkflowInput): Promise<{ readonly issues: readonly Issue[] }>;
  agents(): Promise<readonly AgentView[]>;
  agent(name: string): Promise<AgentView>;
  registerAgent(body: RegisterAgent): Promise<AgentView>;
  removeAgent(name: string): Promise<void>;
  approvals(query?: { readonly status?: ApprovalView['status'] }): Promise<readonly ApprovalView[]>;
  decideApproval(id: string, body: DecideApproval): Promise<ApprovalView>;
  workers(): Promise<readonly WorkerView[]>;
  status(): Promise<Status>;
  /** Resolves where the control plane takes work. */
  ready(): Promise<void>;
  readonly worker: WorkerCalls;
}

/** A client of one control plane. */
export function createClient(options: ClientOptions): Client {
  const call = callerOf(options);
  return { ...runCalls(call, options), ...definitionCalls(call), ...operationCalls(call), worker: workerCalls(call) };
}

const part = encodeURIComponent;

const runCalls = (call: Call, options: ClientOptions) =>
  ({
    startRun: (workflow, body, { idempotencyKey } = {}) =>
      call({
        method: 'POST',
        path: `/v1/workflows/${part(workflow)}/runs`,
        body,
        ...(idempotencyKey !== undefined && { headers: { 'idempotency-key': idempotencyKey } }),
      }),
    listRuns: (query = {}) => call({ path: '/v1/runs', query: { ...query } }),
    run: (id) => call({ path: `/v1/runs/${part(id)}` }),
    cancelRun: (id, reason) => call({ method: 'POST', path: `/v1/runs/${part(id)}/cancel`, body: reason === undefined ? {} : { reason } }),
    retryRun: (id) => call({ method: 'POST', path: `/v1/runs/${part(id)}/retry`, body: {} }),
    why: (id) => call({ path: `/v1/why/${part(id)}` }),
    events: (id, stream) => followRun(options, `/v1/runs/${part(id)}/events`, stream),
  }) satisfies Partial<Client>;

const definitionCalls = (call: Call) =>
  ({
    workflows: () => call({ path: '/v1/workflows' }),
    workflow: (name, { version } = {}) => call({ path: `/v1/workflows/${part(name)}`, query: { version } }),
    deployWorkflow: (body) => call({ method: 'POST', path: '/v1/workflows', body }),
    validateWorkflow: (body) => call({ method: 'POST', path: '/v1/workflows/validate', body }),
    agents: () => call({ path: '/v1/agents' }),
    agent: (name) => call({ path: `/v1/agents/${part(name)}` }),
    registerAgent: (body) => call({ method: 'POST', path: '/v1/agents', body }),
    removeAgent: (name) => call({ method: 'DELETE', path: `/v1/agents/${part(name)}` }),
  }) satisfies Partial<Client>;

const operationCalls = (call: Call) =>
  ({
    approvals: (query = {}) => call({ path: '/v1/approvals', query: { ...query } }),
    decideApproval: (id, body) => call({ method: 'POST', path: `/v1/approvals/${part(id)}/decision`, body }),
    workers: () => call({ path: '/v1/workers' }),
    status: () => call({ path: '/v1/status' }),
    ready: () => call({ path: '/ready' }),
  }) satisfies Partial<Client>;
