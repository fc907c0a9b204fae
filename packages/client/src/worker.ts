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
import type { Call } from './call.ts';

/** `POST /v1/worker/…`: the calls of a worker. All but `poll` are idempotent: repeat them on UNREACHABLE. */
export interface WorkerCalls {
  register(body: RegisterWorker, signal?: AbortSignal): Promise<void>;
  /** Waits up to `waitMs` at the server. A ticket leased to a lost answer is given up by the next poll, and issued anew. */
  poll(body: PollRequest, signal?: AbortSignal): Promise<PollResponse>;
  heartbeat(body: HeartbeatRequest, signal?: AbortSignal): Promise<HeartbeatResponse>;
  /** @throws HiveError TICKET_NOT_HELD where the token is no longer the current one. */
  settle(body: SettleRequest, signal?: AbortSignal): Promise<void>;
  /** @throws as {@link settle} */
  suspend(body: SuspendRequest, signal?: AbortSignal): Promise<void>;
  release(body: ReleaseRequest, signal?: AbortSignal): Promise<void>;
  /** Records an effect before it is made. The calls about effects and steps are fenced as {@link settle} is. */
  beginEffect(body: BeginEffect, signal?: AbortSignal): Promise<BegunEffect>;
  finishEffect(body: FinishEffect, signal?: AbortSignal): Promise<void>;
  doubtEffect(body: DoubtEffect, signal?: AbortSignal): Promise<void>;
  probedEffect(body: ProbeEffect, signal?: AbortSignal): Promise<void>;
  /** Records a step's result; the first that was recorded is the answer. */
  recordStep(body: RecordStep, signal?: AbortSignal): Promise<RecordedStep>;
  memo(body: ReadMemo, signal?: AbortSignal): Promise<MemoPage>;
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
    suspend: post('suspend'),
    release: post('release'),
    beginEffect: post('effects/begin'),
    finishEffect: post('effects/finish'),
    doubtEffect: post('effects/doubt'),
    probedEffect: post('effects/probed'),
    recordStep: post('steps'),
    memo: post('memo'),
  };
}
