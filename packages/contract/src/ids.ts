import { z } from 'zod';

/** The prefix of each kind of identifier; the rest is a ULID, so ids of one kind sort by time of creation. */
export const idPrefixes = {
  run: 'run',
  ticket: 'tkt',
  approval: 'apr',
  effect: 'eff',
  event: 'evt',
  schedule: 'sch',
  workflow: 'wfl',
  agent: 'agt',
  worker: 'wrk',
  tenant: 'ten',
  apiKey: 'key',
  link: 'lnk',
  instance: 'ins',
} as const;

/** A kind of thing that has an id of its own. */
export type IdKind = keyof typeof idPrefixes;

const ulid = '[0-7][0-9A-HJKMNP-TV-Z]{25}';
const idSchema = <Kind extends IdKind>(kind: Kind) =>
  z
    .string()
    .regex(new RegExp(`^${idPrefixes[kind]}_${ulid}(\\.[0-9]{1,6})?$`), `expected an id such as ${idPrefixes[kind]}_01JD…`)
    .brand<Kind>();

/** `run_…` */
export const runIdSchema = idSchema('run');
/** `tkt_….<n>`: the run's ULID and the ticket's ordinal in that run, so that issuing needs no randomness. */
export const ticketIdSchema = idSchema('ticket');
/** `apr_….<n>`: the run's ULID and the approval's ordinal in that run. */
export const approvalIdSchema = idSchema('approval');
/** `eff_…` */
export const effectIdSchema = idSchema('effect');
/** `evt_…` */
export const eventIdSchema = idSchema('event');
/** `sch_…` */
export const scheduleIdSchema = idSchema('schedule');
/** `wfl_…` */
export const workflowIdSchema = idSchema('workflow');
/** `agt_…` */
export const agentIdSchema = idSchema('agent');
/** `wrk_…` */
export const workerIdSchema = idSchema('worker');
/** `ten_…` */
export const tenantIdSchema = idSchema('tenant');
/** `key_…` */
export const apiKeyIdSchema = idSchema('apiKey');

/** `lnk_…` */
export const linkIdSchema = idSchema('link');

/** `ins_…`, or a worker's `wrk_…`: a worker is registered under the id it has. */
export const instanceIdSchema = z.union([idSchema('instance'), workerIdSchema], 'expected an id such as ins_01JD… or wrk_01JD…');

/** Identifies a run. */
export type RunId = z.infer<typeof runIdSchema>;
/** Identifies a ticket: one attempt at one slot of one node of one run. */
export type TicketId = z.infer<typeof ticketIdSchema>;
/** Identifies an approval. */
export type ApprovalId = z.infer<typeof approvalIdSchema>;
/** Identifies an effect outside the platform. */
export type EffectId = z.infer<typeof effectIdSchema>;
/** Identifies an event that was published. */
export type EventId = z.infer<typeof eventIdSchema>;
/** Identifies a schedule. */
export type ScheduleId = z.infer<typeof scheduleIdSchema>;
/** Identifies a workflow over all its versions. */
export type WorkflowId = z.infer<typeof workflowIdSchema>;
/** Identifies a registered agent. */
export type AgentId = z.infer<typeof agentIdSchema>;
/** Identifies a worker for the life of its process. */
export type WorkerId = z.infer<typeof workerIdSchema>;
/** Identifies a tenant. */
export type TenantId = z.infer<typeof tenantIdSchema>;
/** Identifies an API key (never the key itself). */
export type ApiKeyId = z.infer<typeof apiKeyIdSchema>;
/** Identifies a link to an approval (never the link itself). */
export type LinkId = z.infer<typeof linkIdSchema>;
/** Identifies an agent or a worker that is registered as running. */
export type InstanceId = z.infer<typeof instanceIdSchema>;

/** The tenant that exists from the first migration on; single-tenant installations live in it. */
export const defaultTenantId = 'ten_00000000000000000000000000' as TenantId;

/** The tenant whose runs are canaries: nobody has a key of it, so that nobody sees them among his own. */
export const canaryTenantId = 'ten_00000000000000000000CANARY' as TenantId;

/** The id of the `ordinal`-th ticket of a run. Pure: the same run and ordinal always give the same id. */
export const ticketIdOf = (runId: RunId, ordinal: number): TicketId => `tkt_${runId.slice(4)}.${ordinal}` as TicketId;
/** The id of the `ordinal`-th approval of a run. Pure, as {@link ticketIdOf}. */
export const approvalIdOf = (runId: RunId, ordinal: number): ApprovalId => `apr_${runId.slice(4)}.${ordinal}` as ApprovalId;
/** The run a ticket belongs to. */
export const runIdOfTicket = (ticketId: TicketId): RunId => `run_${ticketId.slice(4, 30)}` as RunId;
/** The run an approval belongs to. */
export const runIdOfApproval = (approvalId: ApprovalId): RunId => `run_${approvalId.slice(4, 30)}` as RunId;

const name = '[A-Za-z0-9][A-Za-z0-9._-]{0,99}';
const nameRule = 'a name starts with a letter or digit and has only letters, digits, ".", "_" and "-" (at most 100)';

/** A name people choose: of an agent, a workflow, a worker. */
export const nameSchema = z.string().regex(new RegExp(`^${name}$`), nameRule);

/** A label inside a tenant that keeps names apart; what names no project is in project 1. */
export const projectIdSchema = z.int().min(1).max(2_147_483_647);

const mqttPrefix = 'mqtt/';

/**
 * What nodes call an agent: `scanner` is the one of project 1, `2/scanner` the one of project 2, `mqtt/writer` the one that
 * calls itself `writer` on the broker.
 */
export const agentNameSchema = z
  .string()
  .regex(new RegExp(`^(${mqttPrefix}[a-zA-Z0-9._-]{1,200}|([1-9][0-9]*/)?${name})$`), {
    error: `${nameRule}; before that of an agent in project 2 stands "2/", of an agent over MQTT "mqtt/"`,
    abort: true,
  })
  .refine(
    (agentName) => mqttAgentIdIn(agentName) !== undefined || isProjectApart(placeOfAgent(agentName).projectId, agentName),
    'before the "/" stands a project from 2 on',
  );

const isProjectApart = (projectId: number, agentName: string): boolean =>
  !agentName.includes('/') || (projectId > 1 && projectIdSchema.safeParse(projectId).success);

/** What nodes call the agent that is `name` in its project; see {@link agentNameSchema}. */
export const agentNameIn = (projectId: number, name: string): string => (projectId === 1 ? name : `${projectId}/${name}`);

/** What nodes call the agent of that id on the broker. */
export const mqttAgentName = (id: string): string => `${mqttPrefix}${id}`;

/** What {@link mqttAgentName} was made of; undefined for agents of the registry. */
export const mqttAgentIdIn = (agentName: string): string | undefined =>
  agentName.startsWith(mqttPrefix) ? agentName.slice(mqttPrefix.length) : undefined;

/** What {@link agentNameIn} was made of; of an agent over MQTT there is no such place. */
export function placeOfAgent(agentName: string): { readonly projectId: number; readonly name: string } {
  const slash = agentName.indexOf('/');
  return slash < 0 ? { projectId: 1, name: agentName } : { projectId: Number(agentName.slice(0, slash)), name: agentName.slice(slash + 1) };
}
