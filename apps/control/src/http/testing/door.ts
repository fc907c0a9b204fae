import { HiveError } from '@hivekeeper/contract';
import type { Clock, Random } from '@hivekeeper/kernel';
import canonicalize from 'canonicalize';
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import { createServer, type Services } from '../index.ts';
import { memoryHouse, type MemoryHouse } from './memory-services.ts';

/** What a call may say besides its address. */
export interface CallOptions {
  readonly body?: unknown;
  /** The admin's where absent; `null` for none. */
  readonly key?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer, its body parsed. */
export interface Answer {
  readonly status: number;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into bodies of every shape
  readonly body: any;
  readonly text: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** A server over tables in memory. */
export interface Door extends MemoryHouse, AsyncDisposable {
  readonly app: FastifyInstance;
  /** Calls `METHOD /path`; an answer that differs from what its route documents is an error. */
  call(request: string, options?: CallOptions): Promise<Answer>;
}

/** Opens a door. */
export async function openDoor(options: {
  readonly clock: Clock;
  readonly random: Random;
  readonly authentication?: Services['authentication'];
  readonly rates?: Services['rates'];
}): Promise<Door> {
  const house = await memoryHouse(options);
  // The very object: a test may change what stands behind the door.
  if (options.rates !== undefined) Object.assign(house.services, { rates: options.rates });
  const app = await createServer(house.services);
  return {
    ...house,
    app,
    call: async (request, { body, key = house.keys.admin, headers = {} } = {}) => {
      const [method = '', url = ''] = request.split(' ');
      const response = await app.inject({
        method: method as 'GET',
        url,
        headers: {
          host: 'localhost:9002',
          ...(key !== null && { authorization: `Bearer ${key}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { payload: JSON.stringify(body) }),
      });
      const isJson = String(response.headers['content-type']).startsWith('application/json') && method !== 'HEAD';
      const answer = {
        status: response.statusCode,
        body: isJson ? response.json() : undefined,
        text: response.body,
        headers: response.headers,
      };
      mustBeDocumented(app, { method, url, answer });
      return answer;
    },
    [Symbol.asyncDispose]: () => app.close(),
  };
}

function mustBeDocumented(
  app: FastifyInstance,
  { method, url, answer }: { readonly method: string; readonly url: string; readonly answer: Answer },
): void {
  const route = app.routeTable.at(url).find((entry) => entry.method === method);
  if (route === undefined || answer.body === undefined) return;
  const documented = (route.schema.response ?? {}) as Readonly<Record<string, z.ZodType>>;
  const schema = documented[answer.status] ?? documented[`${String(answer.status)[0]}xx`];
  const told = canonicalize(answer.body);
  const parsed = schema?.safeParse(answer.body);
  if (parsed?.success !== true || canonicalize(parsed.data) !== told) {
    throw new HiveError(
      'INTERNAL',
      `${method} ${url} answers ${answer.status} ${told}, which is not what it documents: ${String(parsed?.error)}`,
    );
  }
}
