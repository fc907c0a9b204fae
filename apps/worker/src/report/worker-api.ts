import type {
  HeartbeatRequest,
  HeartbeatResponse,
  PollRequest,
  PollResponse,
  RegisterWorker,
  ReleaseRequest,
  SettleRequest,
} from '@hivekeeper/contract';

/** The control plane as a worker sees it. Every call rejects with a HiveError: the server's code, or UNREACHABLE. */
export interface WorkerApi {
  register(body: RegisterWorker, signal?: AbortSignal): Promise<unknown>;
  poll(body: PollRequest, signal?: AbortSignal): Promise<PollResponse>;
  heartbeat(body: HeartbeatRequest, signal?: AbortSignal): Promise<HeartbeatResponse>;
  settle(body: SettleRequest, signal?: AbortSignal): Promise<unknown>;
  release(body: ReleaseRequest, signal?: AbortSignal): Promise<unknown>;
}
