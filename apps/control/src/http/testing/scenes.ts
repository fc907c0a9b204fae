import type { LeasedTicket, PollResponse, WorkerId, WorkflowInput } from '@hivekeeper/contract';
import type { Door } from './door.ts';

/** The worker that {@link workOnce} is. */
export const workerId = 'wrk_01JD0000000000000000000000' as WorkerId;

/** One node, or the nodes given, all done by the agent `scanner`. */
export const workflow = (changes: Partial<WorkflowInput> = {}): WorkflowInput => ({
  name: 'review',
  nodes: [{ id: 'scan', agent: 'scanner', input: { target: '{{ context.target }}' } }],
  ...changes,
});

/** Registers the agent `scanner` and deploys a workflow. */
export async function deploy(door: Door, definition: WorkflowInput = workflow()) {
  await door.call('POST /v1/agents', { body: { entryPath: '/agents/scanner' } });
  return door.call('POST /v1/workflows', { body: definition });
}

/** Starts a run of `review`; gives its id. */
export async function start(door: Door, context: object = { target: '/repo' }): Promise<string> {
  return (await door.call('POST /v1/workflows/review/runs', { body: { context } })).body.id;
}

/** Seats the worker. */
export const register = (door: Door) =>
  door.call('POST /v1/worker/register', { key: door.keys.worker, body: { workerId, name: 'w', capabilities: ['node'], maxParallel: 4 } });

/** One poll of the worker. */
export async function poll(
  door: Door,
  changes: {
    readonly credits?: number;
    readonly held?: readonly Pick<LeasedTicket, 'ticketId' | 'token'>[];
    readonly waitMs?: number;
  } = {},
): Promise<PollResponse> {
  const held = (changes.held ?? []).map(({ ticketId, token }) => ({ ticketId, token }));
  return (
    await door.call('POST /v1/worker/poll', { key: door.keys.worker, body: { workerId, credits: 4, waitMs: 30_000, ...changes, held } })
  ).body;
}

/** Reports what a ticket came to. */
export const settle = (door: Door, { ticketId, token }: LeasedTicket, outcome: object = { ok: true, output: { total: 3 } }) =>
  door.call('POST /v1/worker/settle', { key: door.keys.worker, body: { workerId, ticketId, token, outcome } });

/** Takes the next tickets and settles each. */
export async function workOnce(door: Door, outcome?: object): Promise<readonly LeasedTicket[]> {
  const { tickets } = await poll(door);
  for (const ticket of tickets) await settle(door, ticket, outcome);
  return tickets;
}
