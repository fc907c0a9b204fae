import type {
  BeginEffect,
  BegunEffect,
  DoubtEffect,
  FinishEffect,
  HeartbeatRequest,
  HeartbeatResponse,
  MemoPage,
  PollRequest,
  PollResponse,
  ProbeEffect,
  ReadMemo,
  RecordedStep,
  RecordStep,
  RegisterWorker,
  ReleaseRequest,
  SettleRequest,
  SuspendRequest,
} from '@hivekeeper/contract';

/** The control plane as a worker sees it. Every call rejects with a HiveError: the server's code, or UNREACHABLE. */
export interface WorkerApi {
  register(body: RegisterWorker, signal?: AbortSignal): Promise<unknown>;
  poll(body: PollRequest, signal?: AbortSignal): Promise<PollResponse>;
  heartbeat(body: HeartbeatRequest, signal?: AbortSignal): Promise<HeartbeatResponse>;
  settle(body: SettleRequest, signal?: AbortSignal): Promise<unknown>;
  suspend(body: SuspendRequest, signal?: AbortSignal): Promise<unknown>;
  release(body: ReleaseRequest, signal?: AbortSignal): Promise<unknown>;
}

/** The effect ledger as a worker sees it, with the same errors. */
export interface LedgerApi {
  beginEffect(body: BeginEffect, signal?: AbortSignal): Promise<BegunEffect>;
  finishEffect(body: FinishEffect, signal?: AbortSignal): Promise<unknown>;
  doubtEffect(body: DoubtEffect, signal?: AbortSignal): Promise<unknown>;
  probedEffect(body: ProbeEffect, signal?: AbortSignal): Promise<unknown>;
  recordStep(body: RecordStep, signal?: AbortSignal): Promise<RecordedStep>;
  memo(body: ReadMemo, signal?: AbortSignal): Promise<MemoPage>;
}
