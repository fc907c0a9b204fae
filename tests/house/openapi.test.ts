import { FakeClock, seededRandom } from '@hivekeeper/testkit';
import { afterAll, describe, expect, it } from 'vitest';
import { openDoor } from '../../apps/control/src/http/testing/door.ts';
import { errorCatalogue } from '../../packages/contract/src/index.ts';

interface Operation {
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly security?: readonly object[];
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: object }>> }>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>>; readonly securitySchemes: object };
}

const door = await openDoor({ clock: new FakeClock(), random: seededRandom(1) });
afterAll(() => door[Symbol.asyncDispose]());
const { body, text } = await door.call('GET /v1/openapi.json');
const document = body as Document;
const routes = door.app.routeTable.entries.filter(({ method }) => method !== 'HEAD');
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })),
);
const documented = new Map(operations.map(({ name, operation }) => [name, operation]));
const nameOf = ({ method, url }: { method: string; url: string }) => `${method} ${url.replaceAll(/:(\w+)/g, '{$1}')}`;

describe('the OpenAPI document', () => {
  it('is of version 3.1 and names a good number of routes', () => {
    expect(document.openapi).toBe('3.1.0');
    expect(routes.length).toBeGreaterThan(40);
  });

  it('holds exactly the routes there are', () => {
    expect(operations.map(({ name }) => name).sort()).toEqual(routes.map(nameOf).sort());
  });

  it.each(routes.map((route) => [nameOf(route), route] as const))(
    'says of %s what it is, what it takes, what it answers and who may call it',
    (name, { access, schema, url }) => {
      const operation = documented.get(name) as Operation;
      expect(operation.summary).toMatch(/^\S.{5,}[^.]$/);
      expect(operation.tags).toHaveLength(1);
      expect(operation.security).toEqual(access === 'open' ? [] : undefined);
      expect(operation.requestBody !== undefined).toBe(schema.body !== undefined);
      const inPath = [...url.matchAll(/:(\w+)/g)].map((match) => match[1]);
      expect((operation.parameters ?? []).filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name)).toEqual(
        inPath,
      );
      const statuses = Object.keys(operation.responses);
      expect(statuses.some((status) => /^[25]\d\d$/.test(status))).toBe(true);
      expect(statuses).toEqual(expect.arrayContaining(['4XX', '5XX']));
      for (const [status, { content }] of Object.entries(operation.responses))
        if (status !== '204') expect(Object.values(content ?? {})[0]?.schema, `${status} of ${name}`).toBeDefined();
    },
  );

  it('names every error code of the catalogue, and no other', () => {
    const schema = document.components.schemas.Error as { properties: { error: { properties: { code: { enum: string[] } } } } };
    expect([...schema.properties.error.properties.code.enum].sort()).toEqual(Object.keys(errorCatalogue).sort());
  });

  it('refers to nothing that it does not hold', () => {
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"/]+)/g)].map((match) => match[1] as string);
    expect(references.length).toBeGreaterThan(0);
    expect(references.filter((name) => !(name in document.components.schemas))).toEqual([]);
  });
});
