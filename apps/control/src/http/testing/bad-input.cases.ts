import type { ErrorCode } from '@hivekeeper/contract';
import { z } from 'zod';
import { may } from '../../records/keys/index.ts';
import type { RouteEntry } from '../index.ts';

/** One request that must be refused, and how. */
export interface BadCase {
  /** A sentence. */
  readonly name: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload?: string | Buffer;
  readonly status: number;
  readonly code: ErrorCode;
  /** JSON pointer that `issues` must name, or begin with where it goes deeper. */
  readonly path?: string;
}

/** Keys the cases are sent with. */
export interface CaseKeys {
  readonly admin: string;
  readonly worker: string;
}

/** What addresses and bodies name. Where it exists, a case that got too far would show. */
export interface CaseSubjects {
  readonly runId: string;
  readonly approvalId: string;
  readonly link: string;
  readonly deadTicketId: string;
  readonly effectId: string;
  readonly workflowId: string;
  readonly scheduleName: string;
  readonly eventId: string;
  readonly instanceId: string;
  readonly keyId: string;
  readonly agent: { readonly name: string; readonly id: string };
  readonly workerId: string;
  readonly ticket: { readonly ticketId: string; readonly token: string };
}

/** Who asks, and about what. */
export interface CaseWorld {
  readonly keys: CaseKeys;
  readonly subjects: CaseSubjects;
}

const ulid = '01JD0000000000000000000000';
/** Subjects of the right shape that do not exist. */
export const nobody: CaseSubjects = {
  runId: `run_${ulid}`,
  approvalId: `apr_${ulid}.0`,
  link: `lnk_${ulid}.secret`,
  deadTicketId: `tkt_${ulid}.0`,
  effectId: `eff_${ulid}`,
  workflowId: `wfl_${ulid}`,
  scheduleName: 'absent',
  eventId: `evt_${ulid}`,
  instanceId: `ins_${ulid}`,
  keyId: `key_${ulid}`,
  agent: { name: 'absent', id: `agt_${ulid}` },
  workerId: `wrk_${ulid}`,
  ticket: { ticketId: `tkt_${ulid}.0`, token: '1.1' },
};

const node = { id: 'scan', agent: 'scanner' };
const outcome = { ok: true, output: 1 };

const schedule = { cron: '0 7 * * *', timeZone: 'UTC', catchUp: 'last', overlap: 'skip', jitterMs: 0, context: {} };

const telemetry = { executionCount: 7, failureCount: 1, successRatio: 0.9, meanDurationMs: 12.5, loadRatio: 0.5, lastExecutionAtMs: 1 };

type Bodies = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const workerBodiesOf = ({ workerId, ticket, effectId }: CaseSubjects): Bodies => ({
  'POST /v1/worker/register': { workerId, name: 'w', capabilities: ['node'], maxParallel: 1 },
  'POST /v1/worker/poll': { workerId, credits: 1, held: [ticket], waitMs: 0 },
  'POST /v1/worker/heartbeat': { workerId, tickets: [ticket] },
  'POST /v1/worker/settle': { workerId, ...ticket, outcome },
  'POST /v1/worker/release': { workerId, tickets: [ticket] },
  'POST /v1/worker/model-calls': {
    ...{ workerId, ...ticket, runId: `run_${ulid}`, nodeId: 'n', dialect: 'messages', headers: {} },
    question: { model: 'fast' },
  },
  'POST /v1/worker/effects/begin': { workerId, ...ticket, step: 's', tool: 'mail.send', args: {}, hasProbe: true },
  'POST /v1/worker/effects/finish': { workerId, ...ticket, effectId, outcome },
  'POST /v1/worker/effects/doubt': { workerId, ...ticket, effectId, reason: 'no answer' },
  'POST /v1/worker/effects/probed': { workerId, ...ticket, effectId, happened: true, output: 1 },
  'POST /v1/worker/steps': { workerId, ...ticket, step: 's', outcome },
  'POST /v1/worker/memo': { workerId, ...ticket, after: 's' },
  'POST /v1/worker/suspend': { workerId, ...ticket, suspension: { kind: 'timer', step: 's', forMs: 1 } },
});

const registryBodies: Bodies = {
  'POST /v1/agents/:name/versions': { entryPath: '/agents/scanner', name: 'scanner' },
  'PUT /v1/agents/:name/rollout': { weights: { '1.0.0': 1 } },
  'PUT /v1/budgets': { scope: 'key', name: 'admin', period: 'day', capMicroUsd: 1 },
  'PUT /v1/breakers/agents/:name': { state: 'open', forMs: 60_000, reason: 'moving' },
  'PUT /v1/breakers/dependencies/:name': { state: 'closed' },
  'POST /v1/registry/instances': {
    ...{ name: 'scout-1', namespace: 'default', role: 'scout', cluster: 'eu', version: '1.0.0', capabilities: ['scan'] },
    ...{ metadata: { zone: 'a' }, beatIntervalMs: 1_000, telemetry },
  },
  'POST /v1/registry/instances/:id/heartbeat': { registration: 1, telemetry },
  'POST /v1/registry/instances/:id/cordon': { reason: 'noisy' },
  'POST /v1/registry/instances/:id/uncordon': { reason: 'quiet' },
  'POST /v1/registry/instances/:id/drain': { reason: 'old' },
  'POST /v1/registry/discover': { capabilities: ['scan'], filter: { namespace: 'default' }, limit: 5 },
};

/** A body each route would take. */
export const sampleBodiesOf = (subjects: CaseSubjects): Bodies => ({
  ...workerBodiesOf(subjects),
  ...registryBodies,
  'POST /v1/workflows': { name: 'review', description: 'd', timeoutMs: 1_000, priority: 1, nodes: [node] },
  'POST /v1/workflows/validate': { name: 'review', nodes: [node] },
  'POST /v1/workflows/:name/runs': { context: {} },
  'POST /v1/runs/:id/cancel': { reason: 'enough' },
  'POST /v1/runs/:id/pause': { reason: 'wait' },
  'POST /v1/runs/:id/resume': { reason: 'go' },
  'POST /v1/runs/:id/priority': { priority: 10, reason: 'urgent' },
  'POST /v1/runs/:id/signals': { name: 'go', key: 'a', payload: { by: 'x' }, signalId: 's' },
  'POST /v1/runs/:id/retry': { from: 'failed' },
  'POST /v1/runs/:id/fork': { nodeId: 'scan', context: {} },
  'POST /v1/runs/bulk': { verb: 'cancel', filter: { workflow: 'review', status: 'RUNNING' }, expectedCount: 0, reason: 'enough' },
  'POST /v1/dead/:ticketId/redrive': {},
  'POST /v1/dead/:ticketId/discard': { reason: 'known' },
  'POST /v1/backups': { keep: 7 },
  'POST /v1/callbacks/:ticketId/:secret': { output: 1, costMicroUsd: 5 },
  'POST /v1/agents': { entryPath: '/agents/scanner', name: 'scanner' },
  'POST /v1/approvals/:id/decision': { decision: 'APPROVED', notes: 'fine', inputSha256: 'a'.repeat(64) },
  'POST /v1/approvals/:id/links': { expiresAfterMs: 60_000 },
  'POST /approve/:link': { decision: 'APPROVED', name: 'Ann', notes: 'fine' },
  'POST /v1/chat/completions': { model: 'fast', messages: [] },
  'POST /v1/responses': { model: 'fast', input: 'hello' },
  'POST /v1/embeddings': { model: 'fast', input: 'hello' },
  'POST /v1/messages': { model: 'fast', messages: [] },
  'POST /v1/schedules': { name: 'nightly', workflow: 'review', ...schedule },
  'PUT /v1/schedules/:name': schedule,
  'POST /v1/schedules/:name/pause': { reason: 'holidays' },
  'POST /v1/schedules/:name/resume': {},
  'POST /v1/events': { type: 'order.paid', key: '42', payload: { amount: 7 }, subject: 'order.paid.42', source: 'shop', eventId: 'e-1' },
  'POST /v1/keys': { name: 'ci', role: 'operator', expiresInMs: 60_000 },
  'POST /v1/keys/:id/rotate': { overlapMs: 60_000, expiresInMs: 60_000 },
  'POST /v1/effects/:id/resolve': { happened: true, output: 1, notes: 'seen in the bank' },
  'POST /api/agents': {
    projectId: 1,
    name: 'scanner',
    type: 'SCRIPT',
    entryPath: '/agents/scanner',
    version: '1.0.0',
    riskLevel: 'AUTO',
    capabilities: [{ name: 'scan', inputSchema: {}, outputSchema: {} }],
  },
  'PUT /api/agents/:id': { description: 'd', version: '1.0.1', riskLevel: 'AUTO' },
  'POST /api/workflows': {
    projectId: 1,
    name: 'review',
    trigger: { type: 'manual' },
    nodes: [{ agentId: subjects.agent.id, action: 'scan', inputsJson: {}, _symbolicId: 'scan' }],
  },
  'PUT /api/workflows/:id': { description: 'd', status: 'DRAFT' },
  'POST /api/workflows/:id/trigger': { contextJson: {} },
  'POST /api/workflows/runs/:runId/retry': {},
  'POST /api/approvals/:id/decision': { decision: 'APPROVED', respondedBy: 'alice', notes: 'fine' },
});

/** The address of a route about the subjects. */
const addressOf = ({ url }: Pick<RouteEntry, 'url'>, subjects: CaseSubjects): string =>
  url.replaceAll(/:(\w+)/g, (_, parameter: string) => encodeURIComponent(subjectOf(url, parameter, subjects)));

function subjectOf(url: string, parameter: string, subjects: CaseSubjects): string {
  const { runId, approvalId, link, deadTicketId, effectId, workflowId, scheduleName, eventId, instanceId, keyId, agent } = subjects;
  if (parameter === 'link') return link;
  if (parameter === 'secret') return 'A'.repeat(43);
  if (parameter === 'ticketId') return deadTicketId;
  if (parameter === 'runId' || /^\/v1\/(runs|why)\//.test(url)) return runId;
  const byNoun = {
    approvals: approvalId,
    backups: 'backup-20260102-030405-678',
    effects: effectId,
    schedules: scheduleName,
    registry: instanceId,
    keys: keyId,
    events: eventId,
    agents: url.startsWith('/api/') ? agent.id : agent.name,
  };
  const noun = url.split('/')[2] ?? '';
  return Object.hasOwn(byNoun, noun) ? byNoun[noun as keyof typeof byNoun] : workflowId;
}

/** The address of a route with one text for all its parameters. */
const addressWith = ({ url }: Pick<RouteEntry, 'url'>, text: string): string => url.replaceAll(/:\w+/g, text);

/** Every bad input for every route, made from the route table alone. */
export function badInputCases(routes: readonly RouteEntry[], world: CaseWorld): BadCase[] {
  return routes
    .filter(({ method }) => method !== 'HEAD')
    .flatMap((route) => [addressCases, accessCases, headerCases, queryCases, bodyCases].flatMap((casesOf) => casesOf(route, world)))
    .map((each) => ({ ...each, name: `${each.method} ${each.url.slice(0, 80)} refuses ${each.name} with ${each.status} ${each.code}` }));
}

/** The key of those the route is for. */
const authorized = ({ access }: RouteEntry, { keys }: CaseWorld) => ({
  authorization: `Bearer ${access === 'worker' ? keys.worker : keys.admin}`,
});

function addressCases(route: RouteEntry, world: CaseWorld): BadCase[] {
  const { method, url } = route;
  const { subjects } = world;
  const headers = authorized(route, world);
  const cases: BadCase[] = [
    {
      name: 'a malformed escape in the path',
      method,
      url: `${addressOf(route, subjects)}%zz`,
      headers,
      status: 400,
      code: 'INVALID_REQUEST',
    },
    { name: 'another method', method: 'PATCH', url: addressOf(route, subjects), headers, status: 405, code: 'METHOD_NOT_ALLOWED' },
  ];
  const parameter = /:(\w+)/.exec(url)?.[1];
  if (parameter === undefined) return cases;
  cases.push({
    name: 'U+0000 in the path',
    method,
    url: addressOf({ url: url.replace(/:\w+/, 'a%00b') }, subjects),
    headers: { ...headers, ...jsonHeader(route) },
    ...bodyOf(route, subjects),
    status: 422,
    code: 'UNSTORABLE_VALUE',
    path: `/${parameter}`,
  });
  cases.push({
    name: 'a part of the path that is too long',
    method,
    url: addressWith(route, 'x'.repeat(501)),
    headers,
    status: 400,
    code: 'INVALID_REQUEST',
  });
  if (!(route.schema.params as z.ZodType).safeParse({ [parameter]: '!' }).success && !url.startsWith('/api/')) {
    cases.push({
      name: 'an id of another shape',
      method,
      url: addressWith(route, '!'),
      headers: { ...headers, ...jsonHeader(route) },
      ...bodyOf(route, subjects),
      status: 400,
      code: 'INVALID_REQUEST',
      path: `/${parameter}`,
    });
  }
  return cases;
}

const bodyOf = (route: RouteEntry, subjects: CaseSubjects): Pick<BadCase, 'payload'> =>
  route.schema.body === undefined ? {} : { payload: JSON.stringify(sampleOf(route, subjects)) };
const jsonHeader = (route: RouteEntry) => (route.schema.body === undefined ? {} : { 'content-type': 'application/json' });
const sampleOf = ({ method, url }: RouteEntry, subjects: CaseSubjects) => sampleBodiesOf(subjects)[`${method} ${url}`] ?? {};

function accessCases(route: RouteEntry, { keys, subjects }: CaseWorld): BadCase[] {
  if (route.access === 'open') return [];
  const { method } = route;
  const url = addressOf(route, subjects);
  const json = jsonHeader(route);
  const refused = { method, url, status: 401, code: 'UNAUTHENTICATED' } as const;
  const broken = route.schema.body === undefined ? {} : { payload: '{"broken' };
  return [
    { ...refused, name: 'a caller without a key, before it reads the body,', headers: json, ...broken },
    { ...refused, name: 'an unknown key', headers: { ...json, authorization: 'Bearer hive_unknown' }, ...broken },
    { ...refused, name: 'another scheme', headers: { ...json, authorization: `Basic ${keys.admin}` }, ...broken },
    {
      ...refused,
      name: 'a key in the query',
      url: `${url}?key=${keys.admin}&api_key=${keys.admin}&token=${keys.admin}`,
      headers: json,
      ...broken,
    },
    ...(!may('worker', route.access)
      ? [
          {
            ...refused,
            name: 'a worker’s key',
            headers: { ...json, 'x-api-key': keys.worker },
            ...{ ...broken, status: 403, code: 'FORBIDDEN' as const },
          },
        ]
      : []),
  ];
}

function headerCases(route: RouteEntry, world: CaseWorld): BadCase[] {
  const schema = route.schema.headers as z.ZodType | undefined;
  if (schema === undefined) return [];
  const base = { method: route.method, url: addressOf(route, world.subjects), ...bodyOf(route, world.subjects) };
  const headers = { ...authorized(route, world), ...jsonHeader(route) };
  const wrong = ['', '!', 'x'.repeat(300)];
  return propertiesOf(schema).flatMap((name) =>
    wrong
      .filter((value) => failsAt(schema, { [name]: value }, name))
      .map((value) => ({
        ...base,
        name: `${name}: ${value.slice(0, 20)}`,
        headers: { ...headers, [name]: value },
        status: 400,
        code: 'INVALID_REQUEST',
        path: `/${name}`,
      })),
  );
}

function queryCases(route: RouteEntry, world: CaseWorld): BadCase[] {
  const query = route.schema.querystring as z.ZodType | undefined;
  if (query === undefined) return [];
  const url = addressOf(route, world.subjects);
  const base = { method: route.method, headers: { ...authorized(route, world), ...jsonHeader(route) }, ...bodyOf(route, world.subjects) };
  const invalid = { ...base, status: 400, code: 'INVALID_REQUEST' } as const;
  const names = propertiesOf(query);
  const bad = ['', '!', '0', '1.5', '99999999999'].flatMap((value) =>
    names.filter((name) => failsAt(query, { [name]: value }, name)).map((name) => ({ name, value })),
  );
  return [
    { ...invalid, name: 'an unknown parameter', url: `${url}?surprise=1`, path: '/surprise' },
    {
      ...base,
      name: 'U+0000 in the query',
      url: `${url}?surprise=%00`,
      status: 422,
      code: 'UNSTORABLE_VALUE',
      path: '/surprise',
    },
    ...names.map((name) => ({
      ...invalid,
      name: `two values for ${name}`,
      url: `${url}?${name}=1&${name}=2`,
      path: `/${name}`,
    })),
    ...bad.map(({ name, value }) => ({
      ...invalid,
      name: `${name}=${value}`,
      url: `${url}?${name}=${value}`,
      path: `/${name}`,
    })),
  ];
}

function bodyCases(route: RouteEntry, world: CaseWorld): BadCase[] {
  const schema = route.schema.body as z.ZodType | undefined;
  if (schema === undefined) return [];
  const sample = sampleOf(route, world.subjects);
  const headers = { ...authorized(route, world), 'content-type': 'application/json' };
  const base = { method: route.method, url: addressOf(route, world.subjects), headers };
  const invalid = { ...base, status: 400, code: 'INVALID_REQUEST' } as const;
  const unstorable = { ...base, status: 422, code: 'UNSTORABLE_VALUE', path: '/surprise' } as const;
  const malformed = { ...base, status: 400, code: 'MALFORMED_JSON', path: '' } as const;
  const tooLarge = { ...base, payload: `{"surprise":"${'x'.repeat(route.bodyLimitBytes)}"}`, status: 413, code: 'BODY_TOO_LARGE' } as const;
  return [
    { ...malformed, name: 'JSON that ends too early', payload: '{"a":' },
    { ...malformed, name: 'JSON with something behind it', payload: '{} {}' },
    { ...malformed, name: 'bytes that are not UTF-8', payload: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]) },
    {
      ...base,
      name: 'another content type',
      headers: { ...base.headers, 'content-type': 'text/plain' },
      payload: '{}',
      status: 415,
      code: 'UNSUPPORTED_MEDIA_TYPE',
    },
    ...(takesForms(route)
      ? []
      : [
          {
            ...base,
            name: 'a form',
            headers: { ...base.headers, 'content-type': 'application/x-www-form-urlencoded' },
            payload: 'a=1',
            status: 415,
            code: 'UNSUPPORTED_MEDIA_TYPE' as const,
          },
        ]),
    { ...tooLarge, name: 'a body larger than the limit' },
    { ...unstorable, name: 'U+0000', payload: '{"surprise":"a\\u0000b"}' },
    { ...unstorable, name: 'half of a surrogate pair', payload: '{"surprise":"\\ud800"}' },
    { ...unstorable, name: 'a number that JSON cannot carry', payload: '{"surprise":1e999}' },
    { ...unstorable, name: 'the key __proto__', payload: '{"surprise":{"__proto__":{"a":1}}}', path: '/surprise/__proto__' },
    { ...unstorable, name: 'the key constructor', payload: '{"surprise":{"constructor":{"prototype":1}}}', path: '/surprise/constructor' },
    {
      ...unstorable,
      name: 'nesting of 100,000 levels',
      payload: `{"surprise":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
      path: '/surprise/0',
    },
    ...['[]', '"text"', '7', 'true', 'null'].map((payload) => ({ ...invalid, name: `${payload} for an object`, payload, path: '' })),
    ...(passedOn.has(route.url)
      ? []
      : [{ ...invalid, name: 'an unknown field', payload: JSON.stringify({ ...sample, surprise: 1 }), path: '/surprise' }]),
    ...(schema.safeParse({}).success ? [] : [{ ...invalid, name: 'no body at all', payload: '' }]),
    ...fieldCases(schema, sample).map((field) => ({ ...invalid, ...field })),
  ];
}

/** What goes on to a provider of models may hold whatever that knows. */
const passedOn = new Set(['/v1/chat/completions', '/v1/responses', '/v1/embeddings', '/v1/messages']);

const takesForms = ({ schema }: RouteEntry): boolean => schema.consumes?.includes('application/x-www-form-urlencoded') === true;

function fieldCases(schema: z.ZodType, sample: Readonly<Record<string, unknown>>): Pick<BadCase, 'name' | 'payload' | 'path'>[] {
  const wrong: readonly unknown[] = [[], {}, 'text', -1, 1.5, true, null, [[]], [null], 'x'.repeat(10_000)];
  const names = propertiesOf(schema);
  const missing = names.filter((name) => failsAt(schema, without(sample, name), name));
  return [
    ...missing.map((name) => ({ name: `a body without ${name}`, payload: JSON.stringify(without(sample, name)), path: `/${name}` })),
    ...names.flatMap((name) =>
      wrong
        .map((value) => ({ ...sample, [name]: value }))
        .filter((body) => failsAt(schema, body, name))
        .map((body) => ({
          name: `${JSON.stringify(body[name]).slice(0, 20)} for ${name}`,
          payload: JSON.stringify(body),
          path: `/${name}`,
        })),
    ),
  ];
}

const without = (sample: Readonly<Record<string, unknown>>, name: string) =>
  Object.fromEntries(Object.entries(sample).filter(([key]) => key !== name));

const propertiesOf = (schema: z.ZodType): string[] =>
  Object.keys(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }).properties ?? {});

const failsAt = (schema: z.ZodType, value: unknown, name: string): boolean =>
  schema.safeParse(value).error?.issues.some(({ path }) => path[0] === name) ?? false;

/** The code and the paths in an error answer, of `/v1` and of the facade alike. */
export function faultIn(answer: unknown): { readonly code: unknown; readonly paths: readonly string[] } {
  const { error, ...facade } = answer as { error?: unknown; code?: unknown; issues?: unknown };
  const fault = (typeof error === 'object' && error !== null ? error : facade) as { code?: unknown; issues?: readonly { path: string }[] };
  return { code: fault.code, paths: (fault.issues ?? []).map(({ path }) => path) };
}
