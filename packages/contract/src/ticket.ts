import { z } from 'zod';
import { agentSpecSchema } from './agent.ts';
import { microUsdSchema } from './budget.ts';
import { agentNameSchema, effectIdSchema, nameSchema, runIdSchema, ticketIdSchema, workerIdSchema } from './ids.ts';
import { jsonObjectSchema, jsonValueSchema, maxWaitMs, signalKeySchema, signalNameSchema } from './workflow.ts';

/**
 * Fencing token `epoch.counter`: new and strictly growing on every acquisition of any ticket; the epoch is the
 * installation's and grows with every restore. A call with any token but the current one is refused.
 */
export const fenceTokenSchema = z.string().regex(/^\d{1,9}\.\d{1,18}$/, 'expected a fencing token such as 1.42');

/** A failure as a worker reports it. */
export const failureSchema = z.strictObject({
  code: z.string().regex(/^[A-Z][A-Z0-9_]{1,60}$/),
  message: z.string().max(2_000),
  excerpt: z.string().max(4_096).exactOptional(),
  nodeId: z.string().exactOptional(),
  dependency: nameSchema.exactOptional(),
});
/** What an attempt came to, as a worker reports it. */
export const outcomeSchema = z.discriminatedUnion('ok', [
  z.strictObject({ ok: z.literal(true), output: jsonValueSchema }),
  z.strictObject({ ok: z.literal(false), error: failureSchema }),
]);

/** The name of a durable step in an agent's code, unique within one execution of the agent. */
export const stepNameSchema = z.string().min(1).max(200);
/** {@link MemoEntry} on the wire. */
export const memoEntrySchema = z.strictObject({ step: stepNameSchema, outcome: outcomeSchema });

const waitMs = z.int().min(1).max(maxWaitMs);

/** {@link Suspension} on the wire. */
export const suspensionSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('timer'), step: stepNameSchema, forMs: waitMs }),
  z.strictObject({
    kind: z.literal('signal'),
    step: stepNameSchema,
    name: signalNameSchema,
    key: signalKeySchema.exactOptional(),
    expiresAfterMs: waitMs,
  }),
  z.strictObject({
    kind: z.literal('approval'),
    step: stepNameSchema,
    message: z.string().max(2_000),
    input: jsonValueSchema,
    expiresAfterMs: waitMs,
  }),
  z.strictObject({
    kind: z.literal('agent'),
    step: stepNameSchema,
    agent: agentNameSchema,
    action: z.string().min(1).max(100).exactOptional(),
    input: jsonObjectSchema,
  }),
  z.strictObject({ kind: z.literal('effect'), step: stepNameSchema, effectId: effectIdSchema, tool: z.string().min(1).max(200) }),
]);

/** A ticket a worker holds: everything it needs to do the work and to prove that it may. */
export const leasedTicketSchema = z.object({
  ticketId: ticketIdSchema,
  token: fenceTokenSchema,
  runId: runIdSchema,
  nodeId: z.string(),
  slot: z.int().min(0),
  attempt: z.int().min(1),
  agent: agentSpecSchema,
  action: z.string().optional(),
  input: jsonObjectSchema,
  /** What became of the steps the agent waited for in earlier executions, oldest first. */
  memo: z.array(memoEntrySchema).default([]),
  timeoutMs: z.int(),
  /** Renew before this much time has passed since the answer arrived; the deadline itself is kept by the database's clock. */
  leaseMs: z.int(),
});
/** {@link leasedTicketSchema} */
export type LeasedTicket = z.infer<typeof leasedTicketSchema>;

/** `POST /v1/worker/register`: who the worker is and what it can run. Idempotent per `workerId`. */
export const registerWorkerSchema = z.strictObject({
  workerId: workerIdSchema,
  name: nameSchema,
  /** What a ticket may require: `node`, `python`, `exec`, `sandbox`, and the worker's own labels. */
  capabilities: z.array(nameSchema).max(100),
  /** Why it has not what it looked for and others may have: `{"container": "neither podman nor docker is on the PATH"}`. */
  lacks: z.record(nameSchema, z.string().max(500)).exactOptional(),
  maxParallel: z.int().min(1).max(1_000),
  version: z.string().max(50).optional(),
});
/** {@link registerWorkerSchema} */
export type RegisterWorker = z.infer<typeof registerWorkerSchema>;

/** A ticket and the token that proves the worker holds it. */
export const heldTicketSchema = z.strictObject({ ticketId: ticketIdSchema, token: fenceTokenSchema });
/** {@link heldTicketSchema} */
export type HeldTicket = z.infer<typeof heldTicketSchema>;

/**
 * `POST /v1/worker/poll`: waits up to `waitMs` for work. `credits` is how many more tickets the worker can take now,
 * `held` what it already has: a leased ticket missing there was
 * lost on the way or dropped: its lease ends, and somebody gets a new ticket.
 */
export const pollRequestSchema = z.strictObject({
  workerId: workerIdSchema,
  credits: z.int().min(0).max(1_000),
  held: z.array(heldTicketSchema).max(1_000),
  waitMs: z.int().min(0).max(30_000),
});
/** {@link pollRequestSchema} */
export type PollRequest = z.infer<typeof pollRequestSchema>;

/** The answer to a poll: new tickets, and held ones the worker must drop at once (cancelled, expired, superseded). */
export const pollResponseSchema = z.object({
  tickets: z.array(leasedTicketSchema),
  revoked: z.array(ticketIdSchema),
  leave: z.boolean().optional().describe('The worker was drained and has finished: it ends'),
});
/** {@link pollResponseSchema} */
export type PollResponse = z.infer<typeof pollResponseSchema>;

/** `POST /v1/worker/heartbeat`: renews every lease named; progress is told to the run's watchers, and is not kept after the attempt. */
export const heartbeatRequestSchema = z.strictObject({
  workerId: workerIdSchema,
  tickets: z.array(heldTicketSchema.extend({ progress: jsonValueSchema.optional() })).max(1_000),
});
/** {@link heartbeatRequestSchema} */
export type HeartbeatRequest = z.infer<typeof heartbeatRequestSchema>;
/** Tickets the worker no longer holds; it must stop working on them. */
export const heartbeatResponseSchema = z.object({ revoked: z.array(ticketIdSchema) });
/** {@link heartbeatResponseSchema} */
export type HeartbeatResponse = z.infer<typeof heartbeatResponseSchema>;

/** `POST /v1/worker/settle`: the result of one ticket. Idempotent: the same ticket and token give the same answer. */
export const settleRequestSchema = z.strictObject({
  workerId: workerIdSchema,
  ticketId: ticketIdSchema,
  token: fenceTokenSchema,
  outcome: outcomeSchema,
  /** What the attempt cost; where nobody knows, the most it may cost is charged. */
  costMicroUsd: microUsdSchema.exactOptional(),
});
/** {@link settleRequestSchema} */
export type SettleRequest = z.infer<typeof settleRequestSchema>;

/**
 * `POST /v1/worker/suspend`: the agent ended because it waits for something; the ticket is over, and a new one is issued
 * when the wait is. Idempotent as settling is.
 */
export const suspendRequestSchema = z.strictObject({
  workerId: workerIdSchema,
  ticketId: ticketIdSchema,
  token: fenceTokenSchema,
  suspension: suspensionSchema,
});
/** {@link suspendRequestSchema} */
export type SuspendRequest = z.infer<typeof suspendRequestSchema>;

/** `POST /v1/worker/release`: gives tickets back unstarted (drain); they become ready again with a new token. */
export const releaseRequestSchema = z.strictObject({ workerId: workerIdSchema, tickets: z.array(heldTicketSchema).max(1_000) });
/** {@link releaseRequestSchema} */
export type ReleaseRequest = z.infer<typeof releaseRequestSchema>;
