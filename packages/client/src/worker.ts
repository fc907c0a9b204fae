import type {
  HeartbeatRequest,
  HeartbeatResponse,
  PollRequest,
  PollResponse,
  RegisterWorker,
  ReleaseRequest,
  SettleRequest,
} from '@hivekeeper/contract';
import type { Call } from './call.ts';

/** `POST /v1/worker/…`: the calls of a worker. All but `poll` are idempotent: repeat them on UNREACHABLE. */
export interface WorkerCalls {
  register(body: RegisterWorker, signal?: AbortSignal): Promise<void>;
  /** Waits up to `waitMs` at the server. A ticket leased to a lost answer is given up by the next poll, and issued anew. */
  poll(body: PollRequest, signal?: AbortSignal): Promise<PollResponse>;
  heartbeat(body: HeartbeatRequest, signal?: AbortSignal): Promise<HeartbeatResponse>;
  /** @throws HiveError TICKET_NOT_HELD where the token is no longer the current one. */
  settle(body: SettleRequest, signal?: AbortSignal): Promise<void>;
  release(body: ReleaseRequest, signal?: AbortSignal): Promise<void>;
}

/** The worker's calls over the given caller. */
export function workerCalls(call: Call): WorkerCalls {
  const post =
    <Body, Answer>(name: string) =>
    (body: Body, signal?: AbortSignal) =>
      call<Answer>({ method: 'POST', path: `/v1/worker/${name}`, body, signal });
  return {
    register: post('register'),
    poll: post('poll'),
    heartbeat: post('heartbeat'),
    settle: post('settle'),
    release: post('release'),
  };
}
