import { once } from 'node:events';
import { link, mkdtemp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@hivekeeper/contract';
import { systemClock } from '@hivekeeper/kernel';
import { guardLeaks } from '@hivekeeper/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAgentFile } from '../config/read.ts';
import { Metrics } from '../observe/index.ts';
import { openToolBox } from './index.ts';

// Opened at their first use, which the MCP SDK makes: they are no leak.
void [process.stdin, process.stdout, process.stderr];
guardLeaks();

const never = new AbortController().signal;

/** A tool box of some lines of TOML. */
async function boxOf(lines: string, environment: Readonly<Record<string, string | undefined>> = process.env) {
  const head = '[agent]\nid = "a"\ndescription = "d"\n[mqtt]\nbroker_url = "mqtt://b"\n[llm]\nprovider = "simulated"\nmodel = "m"\n';
  const metrics = new Metrics(systemClock);
  const box = await openToolBox(parseAgentFile(head + lines), { environment, clock: systemClock, metrics });
  const call = (name: string, args: JsonObject) => box.call({ id: '1', name, args }, never);
  return { box, metrics, call, [Symbol.asyncDispose]: () => box[Symbol.asyncDispose]() };
}

describe('http_request', () => {
  let server: Server;
  let url: string;
  beforeAll(async () => {
    server = createServer(serve).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => void server.close());

  function serve({ url: path = '', headers, method }: IncomingMessage, response: ServerResponse): void {
    if (path === '/to-metadata') return void response.writeHead(302, { location: 'http://169.254.169.254/latest' }).end();
    if (path === '/elsewhere') return void response.writeHead(302, { location: `http://localhost:${new URL(url).port}/seen` }).end();
    if (path === '/round') return void response.writeHead(302, { location: '/round' }).end();
    if (path === '/endless') {
      const more = (): void => void (response.writableEnded || response.destroyed || response.write('x'.repeat(65_536), more));
      return more();
    }
    if (path === '/silent') return;
    if (path === '/page')
      return void response.end('<html><head><title>T</title></head><body><script>x</script><p>Hello &amp; good</p></body></html>');
    response.end(JSON.stringify({ method, authorization: headers.authorization ?? null }));
  }
  const allowed = (more = '') => `[tools]\nhttp_request = { impl = "builtin", timeout_ms = 500, config = { allow_private = true${more} } }`;

  it('gives status, headers and body', async () => {
    await using tools = await boxOf(allowed());
    const { text, isError } = await tools.call('http_request', { method: 'POST', url: `${url}/x`, headers: { authorization: 'k' } });
    expect(isError).toBe(false);
    expect(JSON.parse(text)).toMatchObject({ status: 200, body: '{"method":"POST","authorization":"k"}', content_extracted: false });
    const page = await tools.call('http_request', { method: 'GET', url: `${url}/page`, extract_content: true });
    expect(JSON.parse(page.text)).toMatchObject({ body: 'Hello & good' });
  });

  it('fails where a server switches to another protocol', async () => {
    const switching = createServer().on('upgrade', () => {});
    switching.on('connection', (socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'));
    await once(switching.listen(0, '127.0.0.1'), 'listening');
    await using tools = await boxOf(allowed());
    const address = `http://127.0.0.1:${(switching.address() as AddressInfo).port}/`;
    expect(await tools.call('http_request', { method: 'GET', url: address })).toMatchObject({
      isError: true,
      text: expect.stringContaining('switches to another protocol') as string,
    });
    switching.close();
  });

  it.each([
    'http://127.0.0.1:1/',
    'http://localhost:1/',
    'http://[::1]/',
    'http://10.0.0.1/',
    'http://[::ffff:127.0.0.1]/',
    'http://0x7f.1/',
    'http://169.254.169.254/',
  ])('does not reach %s unless it may', async (address) => {
    await using tools = await boxOf('[tools]\nhttp_request = "builtin"');
    expect(await tools.call('http_request', { method: 'GET', url: address })).toMatchObject({
      isError: true,
      text: expect.stringContaining('not on the public internet'),
    });
  });

  it('reaches no host that is not named, not even by a redirect, and tells another host no secret', async () => {
    await using tools = await boxOf(allowed(', allowed_hosts = ["127.0.0.1"]'));
    for (const path of ['/to-metadata', '/elsewhere'])
      expect((await tools.call('http_request', { method: 'GET', url: url + path })).text).toMatch(/is not among the allowed ones/);
    await using wide = await boxOf(allowed());
    const { text } = await wide.call('http_request', { method: 'GET', url: `${url}/elsewhere`, headers: { authorization: 'k' } });
    expect(JSON.parse(text)).toMatchObject({ body: '{"method":"GET","authorization":null}' });
  });

  it.each([
    ['an endless answer', '/endless', /larger than 1048576 bytes/],
    ['a silent server', '/silent', /took longer than 500 ms/],
    ['a circle of redirects', '/round', /more than 5 redirects/],
  ])('ends with %s', async (_what, path, fault) => {
    await using tools = await boxOf(allowed());
    expect((await tools.call('http_request', { method: 'GET', url: url + path })).text).toMatch(fault);
  });

  it('counts what it did, time-outs apart', async () => {
    await using tools = await boxOf(allowed());
    await tools.call('http_request', { method: 'GET', url });
    await tools.call('http_request', { method: 'GET', url: `${url}/silent` });
    expect(tools.metrics.snapshot().tools.tool_stats['http_request']).toMatchObject({ executions: 2, failures: 1, timeouts: 1 });
  });
});

describe('the file tools', () => {
  let root: string;
  let tools: Awaited<ReturnType<typeof boxOf>>;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'hive-files-'));
    await mkdir(join(root, 'in'));
    await mkdir(join(root, 'out'));
    await writeFile(join(root, 'out/secret'), 'secret');
    await writeFile(join(root, 'in/note'), 'héllo');
    await symlink(join(root, 'out/secret'), join(root, 'in/link'));
    await symlink(join(root, 'out'), join(root, 'in/way-out'));
    const config = `config = { allowed_paths = ["${join(root, 'in')}"], max_file_size = 100 }`;
    tools = await boxOf(`[tools]\nfile_read = { impl = "builtin", ${config} }\nfile_write = { impl = "builtin", ${config} }`);
  });
  afterAll(async () => {
    await tools[Symbol.asyncDispose]();
    await rm(root, { recursive: true });
  });

  it('read and write below the allowed paths, and make directories', async () => {
    expect(JSON.parse((await tools.call('file_read', { path: 'note' })).text)).toEqual({ content: 'héllo', size: 6 });
    const path = join(root, 'in/a/b/new');
    expect(JSON.parse((await tools.call('file_write', { path, content: 'ü' })).text)).toEqual({ path, bytes_written: 2 });
    expect(await readFile(path, 'utf8')).toBe('ü');
  });

  it.each(['../out/secret', 'link', 'way-out/secret', '/etc/passwd', 'way-out/../../out/secret', 'a\u0000b', '..'])(
    'do not get out by %j',
    async (path) => {
      for (const name of ['file_read', 'file_write'])
        expect((await tools.call(name, { path, ...(name === 'file_write' && { content: 'x' }) })).isError).toBe(true);
      expect(await readFile(join(root, 'out/secret'), 'utf8')).toBe('secret');
    },
  );

  it('make nothing outside on the way there', async () => {
    await tools.call('file_write', { path: 'way-out/made/here', content: 'x' });
    await expect(readFile(join(root, 'out/made/here'))).rejects.toThrow('ENOENT');
  });

  it('keep to the size they may have', async () => {
    expect((await tools.call('file_write', { path: 'big', content: 'x'.repeat(101) })).text).toMatch(/larger than 100 bytes/);
    await writeFile(join(root, 'in/grown'), 'x'.repeat(101));
    expect((await tools.call('file_read', { path: 'grown' })).text).toMatch(/larger than 100 bytes/);
  });

  it('take a name that begins with two dots for a name', async () => {
    expect((await tools.call('file_write', { path: '..d/note', content: 'x' })).isError).toBe(false);
    expect(JSON.parse((await tools.call('file_read', { path: '..d/note' })).text)).toEqual({ content: 'x', size: 1 });
  });

  it('write to no file that has another name outside', async () => {
    await link(join(root, 'out/secret'), join(root, 'in/hard'));
    expect((await tools.call('file_write', { path: 'hard', content: 'x' })).text).toMatch(/hard link/);
    expect(await readFile(join(root, 'out/secret'), 'utf8')).toBe('secret');
  });

  it('are not there without allowed paths', async () => {
    await expect(boxOf('[tools]\nfile_read = "builtin"')).rejects.toThrow(/allowed_paths/);
  });
});

describe('tools from elsewhere', () => {
  it('web_search does not start without a key', async () => {
    await expect(boxOf('[tools]\nweb_search = "builtin"', {})).rejects.toThrow('SERPER_API_KEY is not set');
  });

  it('web_search is sent nowhere by the engine it asks', async () => {
    const asked: string[] = [];
    const engine = createServer(({ url = '' }, response) => {
      asked.push(url);
      response.writeHead(302, { location: '/elsewhere' }).end();
    }).listen(0, '127.0.0.1');
    await once(engine, 'listening');
    const address = `http://127.0.0.1:${(engine.address() as AddressInfo).port}/search`;
    await using tools = await boxOf(`[tools]\nweb_search = { impl = "builtin", config = { engine = "searxng", url = "${address}" } }`);
    expect(await tools.call('web_search', { query: 'q' })).toMatchObject({ isError: true, text: expect.stringContaining('redirect') });
    expect(asked).toEqual(['/search?q=q&format=json']);
    engine.close();
  });

  it('a tool that nobody knows does not start, and the nearest is named', async () => {
    await expect(boxOf('[tools]\nhttp_reqest = "builtin"')).rejects.toThrow('did you mean "http_request"?');
  });

  it('a command that leaves somebody behind ends with its time, and so does whom it left', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'hive-left-'));
    await using tools = await boxOf(
      `[tools]\nmine = { impl = "command", timeout_ms = 300, config = { command = ["sh", "-c", 'sleep 3600 & echo $! >"$LEFT"'], description = "d", parameters = {}, environment = ["LEFT"] } }`,
      { PATH: process.env['PATH'], LEFT: join(directory, 'left') },
    );
    expect(await tools.call('mine', {})).toMatchObject({ isError: true, text: 'mine took longer than 300 ms' });
    const pid = (await readFile(join(directory, 'left'), 'utf8')).trim();
    const state = () =>
      readFile(`/proc/${pid}/stat`, 'utf8').then(
        (text) => text.split(' ')[2],
        () => 'gone',
      );
    await expect.poll(state).toMatch(/^(gone|Z)$/);
    await rm(directory, { recursive: true });
  });

  it('a command gets its arguments on stdin, and no variable that was not named', async () => {
    const command = (script: string) =>
      `[tools]\nmine = { impl = "command", config = { command = ["sh", "-c", '${script}'], description = "d", parameters = { type = "object", required = ["x"] } } }`;
    await using echo = await boxOf(command('cat; printf %s "$SECRET"'), { PATH: process.env['PATH'], SECRET: 's' });
    expect(await echo.call('mine', { x: 'a' })).toMatchObject({ text: '{"x":"a"}', isError: false });
    expect((await echo.call('mine', {})).text).toMatch(/^Parameter validation failed: At '\/': must have required property 'x'/);
    const bounded = command('printf üüü').replace('description', 'max_output_size = 5, description');
    await using wordy = await boxOf(bounded);
    expect((await wordy.call('mine', { x: 1 })).text).toBe('the output is larger than 5 bytes');
    await using broken = await boxOf(command('echo bad >&2; exit 3'));
    expect(await broken.call('mine', { x: 1 })).toMatchObject({ text: 'it ended with 3: bad', isError: true });
  });

  it('an MCP server’s tools are checked and called, and its failures are told', async () => {
    const server = join(import.meta.dirname, '../fixtures/mcp-server.ts');
    await using tools = await boxOf(`[mcp.sums]\ncommand = ["${process.execPath}", "${server}"]`);
    expect(tools.box.descriptions.map(({ name }) => name)).toEqual(['sums__add', 'sums__fail']);
    expect(await tools.call('sums__add', { a: 2, b: 3 })).toMatchObject({ text: '5', isError: false });
    expect((await tools.call('sums__add', { a: 'x', b: 3 })).text).toMatch(/^Parameter validation failed: At '\/a'/);
    expect(await tools.call('sums__fail', {})).toMatchObject({ text: 'no such luck', isError: true });
  });

  it('an MCP server that is not there keeps the agent from starting', async () => {
    await expect(boxOf('[mcp.gone]\ncommand = ["/nonexistent/server"]')).rejects.toThrow(/\/mcp\/gone/);
  });
});
