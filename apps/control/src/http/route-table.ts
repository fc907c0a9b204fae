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
  /** The routes that match an address, whatever the method. */
  at(address: string): readonly RouteEntry[];
}

/** Watches routes being added. */
export function collectRoutes(app: FastifyInstance, bodyLimitBytes: number): RouteTable {
  const entries: RouteEntry[] = [];
  app.addHook('onRoute', ({ method, url, config, schema = {}, bodyLimit }) => {
    for (const each of [method].flat()) {
      if (config?.access !== undefined)
        entries.push({ method: each, url, access: config.access, bodyLimitBytes: bodyLimit ?? bodyLimitBytes, schema });
    }
  });
  return {
    entries,
    at: (address) => {
      const segments = segmentsOf(address);
      return entries.filter(({ url }) => matches(segmentsOf(url), segments));
    },
  };
}

const segmentsOf = (address: string): string[] => (address.split('?', 1)[0] ?? '').split('/');

const matches = (pattern: readonly string[], segments: readonly string[]): boolean =>
  pattern.length === segments.length &&
  pattern.every((part, index) => (part.startsWith(':') ? segments[index] !== '' : part === segments[index]));
