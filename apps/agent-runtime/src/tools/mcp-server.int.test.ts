import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { systemClock } from '@hivekeeper/kernel';
import { guardLeaks } from '@hivekeeper/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openMcpServer } from './mcp-server.ts';

guardLeaks();

const sums = () => {
  const server = new McpServer({ name: 'sums', version: '1' });
  server.registerTool('add', { description: 'Adds', inputSchema: z.object({ a: z.number(), b: z.number() }) }, ({ a, b }) => ({
    content: [{ type: 'text', text: String(a + b) }],
  }));
  return server;
};

describe('an MCP server over HTTP', () => {
  const handler = createMcpHandler(sums);
  let server: Server;
  let url: string;
  beforeAll(async () => {
    server = createServer((request, response) => {
      void buffer(request).then(async (body) => {
        if (request.headers.authorization !== 'Bearer let-me-in') return response.writeHead(401).end();
        const headers = Object.entries(request.headers).map(([name, value]) => [name, String(value)] as [string, string]);
        const isRead = request.method === 'GET' || request.method === 'DELETE';
        const asked = new Request(url, { method: request.method ?? 'POST', headers, ...(!isRead && { body }) });
        const answer = await handler.fetch(asked);
        response.writeHead(answer.status, Object.fromEntries(answer.headers));
        return response.end(Buffer.from(await answer.arrayBuffer()));
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  });
  afterAll(async () => {
    await handler.close();
    server.close();
    server.closeAllConnections();
  });

  const entry = () => ({ url, token_env: 'TOKEN', timeout_ms: 5_000, environment: [] });
  const open = (token: string) => openMcpServer('sums', entry(), { clock: systemClock, environment: { TOKEN: token } });

  it('gives its tools to who shows the token', async () => {
    const [add] = await open('let-me-in');
    expect(add?.name).toBe('sums__add');
    expect(await add?.run({ a: 2, b: 3 }, new AbortController().signal)).toBe('5');
    await add?.close?.();
  });

  it('keeps the agent from starting where the token is not taken, or not there', async () => {
    await expect(open('wrong')).rejects.toThrow(/^\/mcp\/sums: /);
    await expect(openMcpServer('sums', entry(), { clock: systemClock, environment: {} })).rejects.toThrow('the variable TOKEN is not set');
  });
});
