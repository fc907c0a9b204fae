import type { IncomingHttpHeaders } from 'node:http';
import { defaultTenantId, HiveError } from '@hivekeeper/contract';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { may, type Principal } from '../records/keys/index.ts';
import { KeyWatch } from './key-watch.ts';
import type { RouteTable } from './route-table.ts';
import type { Services } from './services.ts';

const everybody: Principal = { tenantId: defaultTenantId, role: 'admin', subject: 'anonymous' };
const loopbackHost = /^(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i;
const loopbackOrigin = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$/i;

/** Decides who comes in, before a byte of the body is read. */
export function guard(app: FastifyInstance, services: Services, routes: RouteTable): void {
  app.decorateRequest('caller', null);
  const watch = services.authentication === 'none' ? undefined : new KeyWatch(services);
  app.addHook('onClose', () => watch?.[Symbol.dispose]());
  app.addHook('onRoute', ({ method, url, config }) => {
    if (config?.access === undefined) throw new HiveError('INTERNAL', `route ${String(method)} ${url} does not say who may call it`);
  });
  app.addHook('onRequest', async (request, reply) => {
    if (services.authentication === 'none') mustBeLoopback(request.headers);
    if (request.is404) throw strayed(request, reply, routes);
    request.caller = await admit(request, services);
    const key = keyOf(request.headers);
    if (request.caller !== null && key !== undefined) watch?.follow(reply.raw, key);
  });
}

function strayed({ method, url }: FastifyRequest, reply: FastifyReply, routes: RouteTable): HiveError {
  const allowed = [...new Set(routes.at(url).map((route) => route.method))].sort();
  if (allowed.length === 0) return new HiveError('ROUTE_NOT_FOUND');
  void reply.header('allow', allowed.join(', '));
  return new HiveError('METHOD_NOT_ALLOWED', `${method} is not one of ${allowed.join(', ')}`);
}

async function admit(request: FastifyRequest, services: Services): Promise<Principal | null> {
  const { access } = request.routeOptions.config;
  if (access === 'open') return null;
  if (services.authentication === 'none') return everybody;
  const key = keyOf(request.headers);
  const principal = key === undefined ? undefined : await services.keys.principalOf(key);
  if (principal === undefined) throw new HiveError('UNAUTHENTICATED');
  if (access === undefined || !may(principal.role, access))
    throw new HiveError('FORBIDDEN', `this needs the permission ${access}, which keys of the role ${principal.role} do not have`);
  return principal;
}

/** The key a request carries. Never from the query, which proxies and browsers write down. */
export function keyOf(headers: IncomingHttpHeaders): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
  const other = headers['x-api-key'];
  return bearer ?? (typeof other === 'string' && other !== '' ? other : undefined);
}

// Without keys, a name that resolves to loopback or a page of another site must not get in (DNS rebinding, forged requests).
function mustBeLoopback({ host, origin }: IncomingHttpHeaders): void {
  if (host !== undefined && loopbackHost.test(host) && (origin === undefined || loopbackOrigin.test(origin))) return;
  throw new HiveError('HOST_NOT_ALLOWED');
}
