import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { agentManifestSchema } from '@hivekeeper/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import manifest from './agent.json' with { type: 'json' };

interface Call {
  readonly url: string;
  readonly body: unknown;
}

let server: Server;
let base: string;
let directory: string;
let calls: Call[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  calls = [];
  answer = (_request, response) => response.end('ok');
  server = createServer(async (request, response) => {
    calls.push({ url: request.url ?? '', body: JSON.parse(await text(request)) });
    answer(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  directory = await mkdtemp(join(tmpdir(), 'notifier-'));
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(directory, { recursive: true });
});

async function run(input?: unknown): Promise<{ status: number; stdout: string; stderr: string }> {
  const environment = input === undefined ? {} : { AGENT_INPUT: typeof input === 'string' ? input : JSON.stringify(input) };
  const child = spawn(process.execPath, ['index.ts'], { cwd: import.meta.dirname, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit') as Promise<[number]>]);
  return { status, stdout, stderr };
}

describe('the notifier as a process', () => {
  it('has a manifest that the platform accepts', () => {
    expect(agentManifestSchema.parse(manifest)).toMatchObject({ name: 'notifier', network: true });
  });

  it('delivers to Slack and answers with one JSON document', async () => {
    const { status, stdout } = await run({ channel: 'slack', message: 'hello', webhookUrl: `${base}/T/x` });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ success: true, channel: 'slack', timestamp: expect.stringMatching(/Z$/) });
    expect(calls).toMatchObject([{ url: '/T/x', body: { attachments: [{ text: 'hello' }] } }]);
  });

  it('gives the id that Discord gave the message', async () => {
    answer = (_request, response) => response.end('{"id":"4711"}');
    const { stdout } = await run({ channel: 'discord', message: 'hello', webhookUrl: `${base}/d?thread_id=1` });
    expect(JSON.parse(stdout)).toMatchObject({ success: true, messageId: '4711' });
    expect(calls[0]?.url).toBe('/d?thread_id=1&wait=true');
  });

  it('tells a webhook the same id as its caller', async () => {
    const { stdout } = await run({ channel: 'webhook', message: 'hello', webhookUrl: `${base}/w`, metadata: { run: 'r' } });
    expect(calls[0]?.body).toMatchObject({
      messageId: JSON.parse(stdout).messageId,
      severity: 'info',
      message: 'hello',
      metadata: { run: 'r' },
    });
  });

  it('fails where the service refuses, and keeps the secret address out of the error', async () => {
    answer = (_request, response) => response.writeHead(404).end('no_service');
    const { status, stdout, stderr } = await run({ channel: 'slack', message: 'hello', webhookUrl: `${base}/T/secret` });
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(JSON.parse(stderr).error).toMatch(/answered 404: no_service/);
    expect(stderr).not.toContain('secret');
  });

  it('does not follow a redirect', async () => {
    answer = (_request, response) => response.writeHead(307, { location: `${base}/elsewhere` }).end();
    const { status, stderr } = await run({ channel: 'webhook', message: 'hello', webhookUrl: `${base}/w` });
    expect(status).toBe(1);
    expect(stderr).toContain('answered 307');
    expect(calls).toHaveLength(1);
  });

  it('fails where nobody listens', async () => {
    server.close();
    await once(server, 'close');
    const { status, stderr } = await run({ channel: 'webhook', message: 'hello', webhookUrl: `${base}/w` });
    expect(status).toBe(1);
    expect(JSON.parse(stderr).error).toMatch(/was not reached: .*ECONNREFUSED/);
  });

  it('appends one line per message to a file', async () => {
    const path = join(directory, 'messages.jsonl');
    await run({ channel: 'file', message: 'first\nline', path });
    await run({ channel: 'file', message: 'second', path });
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line).message)).toEqual(['first\nline', 'second']);
  });

  it('appends to notifications.jsonl where the path is a directory', async () => {
    await run({ channel: 'file', message: 'first', path: directory });
    expect(JSON.parse(await readFile(join(directory, 'notifications.jsonl'), 'utf8'))).toMatchObject({ message: 'first' });
  });

  it('does not write through a symbolic link', async () => {
    const other = join(directory, 'other');
    await writeFile(other, 'kept');
    await symlink(other, join(directory, 'link'));
    const { status } = await run({ channel: 'file', message: 'hello', path: join(directory, 'link') });
    expect(status).toBe(1);
    expect(await readFile(other, 'utf8')).toBe('kept');
  });

  it('writes a console message to the log, not into its answer', async () => {
    const { stdout, stderr } = await run({ channel: 'console', message: 'hello', severity: 'critical' });
    expect(JSON.parse(stdout)).toMatchObject({ success: true, channel: 'console' });
    expect(stderr).toBe('CRITICAL: hello\n');
  });

  it.each([
    ['no input', undefined],
    ['what is not JSON', '{'],
    ['a channel it does not know', { channel: 'pigeon', message: 'hello' }],
    ['slack without a webhookUrl', { channel: 'slack', message: 'hello' }],
    ['plain http to another machine', { channel: 'slack', message: 'hello', webhookUrl: 'http://example.com/x' }],
  ])('ends with status 1 and a reason for %s', async (_name, input) => {
    const { status, stdout, stderr } = await run(input);
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(JSON.parse(stderr).error).toMatch(/input|webhookUrl/);
  });
});
