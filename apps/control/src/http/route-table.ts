import type { FastifyInstance, FastifySchema } from 'fastify';
import type { Access } from './route.ts';

/** One route, as data: what tests and the answer to a wrong method go by. */
export interface RouteEntry {
  readonly method: string;
  /** With parameters as `:name`. */
  readonly url: string;
  readonly access: Access;
  readonly bodyLimitBytes: number;
  readonly schema: FastifySchema;
}

/** Every route there is. */
export interface RouteTable {
  readonly entries: readonly RouteEntry[];
  /** The methods of the routes that match the address; empty where there is none. */
  methodsAt(address: string): readonly string[];
  /** The route that answers a call. */
  find(method: string, address: string): RouteEntry | undefined;
}

/** Watches routes being added. */
export function collectRoutes(app: FastifyInstance, bodyLimitBytes: number): RouteTable {
  const entries: RouteEntry[] = [];
  app.addHook('onRoute', ({ method, url, config, schema = {}, bodyLimit }) => {
    for (const each of [method].flat()) {
      if (config?.access !== undefined) entries.push({ method: each, url, access: config.access, bodyLimitBytes: bodyLimit ?? bodyLimitBytes, schema });
    }
  });
  const at = (address: string) => {
    const segments = segmentsOf(address);
    // As the router has it: a fixed part goes before a parameter, and the earlier part decides.
    return entries.filter(({ url }) => matches(segmentsOf(url), segments)).sort((a, b) => (rankOf(a.url) < rankOf(b.url) ? -1 : 1));
  };
  return {
    entries,
    methodsAt: (address) => [...new Set(at(address).map(({ method }) => method))].sort(),
    find: (method, address) => at(address).find((entry) => entry.method === method),
  };
}

const rankOf = (url: string): string => segmentsOf(url).map((part) => (part.startsWith(':') ? 'b' : 'a')).join('');

const segmentsOf = (address: string): string[] => (address.split('?', 1)[0] ?? '').split('/');

const matches = (pattern: readonly string[], segments: readonly string[]): boolean =>
  pattern.length === segments.length && pattern.every((part, index) => (part.startsWith(':') ? segments[index] !== '' : part === segments[index]));
