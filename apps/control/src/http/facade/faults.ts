import type { HiveError, Issue } from '@hivekeeper/contract';
import type { FastifyRequest } from 'fastify';

/** An error as CommandCenter's clients read it, with our code beside it. */
export interface FacadeErrorBody {
  readonly error: string;
  readonly code: string;
  readonly remedy: string;
  readonly requestId: string;
  readonly issues?: readonly Issue[];
  readonly [extra: string]: unknown;
}

/** True for addresses of the facade. */
export const isFacadeAddress = (url: string): boolean => url.startsWith('/api/');

type Requested = Pick<FastifyRequest, 'id' | 'method' | 'body' | 'routeOptions'>;

/** The error in the facade's shape; what its clients look for by text has the text they look for. */
export function facadeErrorBodyOf(fault: HiveError, request: Requested): FacadeErrorBody {
  const issues = fault.issues.map(issueInItsWords);
  const rest = { code: fault.code, remedy: fault.entry.remedy, requestId: request.id, ...(issues.length > 0 && { issues }) };
  return { error: fault.message, ...rest, ...(fault.code === 'INVALID_REQUEST' && knownText(request, issues)) };
}

/** Its nodes have other field names than ours. */
const issueInItsWords = ({ path, message }: Issue): Issue => ({
  path: path.replace(
    /^(\/nodes\/\d+)\/(needs|agent|input|id)(?=\/|$)/,
    (_, node: string, field: string) => `${node}/${itsNames[field] ?? field}`,
  ),
  message,
});
const itsNames: Readonly<Record<string, string>> = { needs: 'dependsOn', agent: 'agentId', input: 'inputsJson', id: '_symbolicId' };

const requiredFields: Readonly<Record<string, readonly string[]>> = {
  'POST /api/agents': ['projectId', 'name', 'type', 'entryPath', 'version', 'riskLevel'],
  'POST /api/workflows': ['projectId', 'name', 'trigger', 'nodes'],
};

const fieldTexts: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, unknown>>>>>> = {
  'POST /api/agents': {
    '/type': { error: 'Invalid type', validTypes: ['LLM', 'RULE', 'API', 'SCRIPT'] },
    '/riskLevel': { error: 'Invalid riskLevel', validRiskLevels: ['AUTO', 'APPROVAL_REQUIRED'] },
  },
  'PUT /api/agents/:id': { '/riskLevel': { error: 'Invalid riskLevel', validRiskLevels: ['AUTO', 'APPROVAL_REQUIRED'] } },
  'GET /api/agents': { '/projectId': { error: 'Missing or invalid projectId query parameter' } },
  'GET /api/workflows': { '/projectId': { error: 'Missing or invalid projectId query parameter' } },
  'POST /api/approvals/:id/decision': {
    '/decision': { error: 'Decision must be APPROVED or REJECTED' },
    '/respondedBy': { error: 'respondedBy is required' },
  },
};

function knownText({ method, body, routeOptions }: Requested, issues: readonly Issue[]): Readonly<Record<string, unknown>> {
  const route = `${method} ${routeOptions.url ?? ''}`;
  const required = requiredFields[route];
  if (required?.some((name) => isMissing(body, name)) === true) return { error: 'Missing required fields', required };
  const texts = fieldTexts[route] ?? {};
  return issues.map(({ path }) => texts[path]).find((text) => text !== undefined) ?? {};
}

function isMissing(body: unknown, name: string): boolean {
  const value =
    typeof body === 'object' && body !== null && !Array.isArray(body) ? (body as Readonly<Record<string, unknown>>)[name] : undefined;
  return value === undefined || value === null || value === '';
}
