// @module-tag needs-bwrap
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { json } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { allGone, descendants, killAll, rest, startStack, temporaryDirectory } from '../stack/stack.ts';

/** An agent behind HTTP that says 202 to everything, and remembers what it was told. */
async function remoteAgent(directory: string) {
  const posts: { readonly callbackUrl: string; readonly input: unknown }[] = [];
  const server = createServer((request, response) => {
    void json(request).then((body) => {
      posts.push(body as (typeof posts)[number]);
      response.writeHead(202).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/attempts`;
  await mkdir(directory);
  const manifest = { name: 'remote', version: '1.0.0', kind: 'http', http: { url, secretVariable: 'REMOTE_SECRET' } };
  await writeFile(join(directory, 'agent.json'), JSON.stringify(manifest));
  const callBack = async (body: object) => {
    const response = await fetch(posts[0]?.callbackUrl ?? '', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return [response.status, ((await response.json()) as { state?: string }).state];
  };
  return { posts, callBack, [Symbol.asyncDispose]: async () => void server.close() };
}

test('an agent’s code sleeps, asks a person and another agent and acts, each once, though its worker is killed meanwhile; one behind HTTP calls back', async () => {
  await using directory = await temporaryDirectory('durable');
  const records = join(directory.path, 'records');
  await mkdir(records, { mode: 0o777 });
  await using remote = await remoteAgent(join(directory.path, 'remote'));
  const secret = `whsec_${Buffer.alloc(32, 'secret').toString('base64')}`;
  await using stack = await startStack({
    ...{ dataDirectory: join(directory.path, 'data'), roots: [directory.path], leaseMs: 2_000 },
    environment: { HIVE_HTTP_PRIVATE: 'true', REMOTE_SECRET: secret },
  });
  const { client } = stack;
  await client.registerAgent({ entryPath: join(directory.path, 'remote') });
  await client.deployWorkflow({ name: 'away', nodes: [{ id: 'ask', agent: 'remote', input: { question: 7 } }] });
  const away = (await client.startRun('away', { context: {} })).id;
  await client.registerAgent({ entryPath: resolve(import.meta.dirname, 'fixtures/clerk') });
  await client.deployWorkflow({ name: 'office', nodes: [{ id: 'clerk', agent: 'clerk', input: { directory: records } }] });
  const { id } = await client.startRun('office', { context: {} });

  const asked = async () => (await client.approvals({ status: 'PENDING' })).find(({ runId }) => runId === id);
  while ((await asked()) === undefined) await rest();
  const approval = (await asked())!;
  expect(approval).toMatchObject({
    message: 'May I act?',
    agent: 'clerk',
    input: { draws: [expect.any(Number), expect.any(Number), expect.any(Number)] },
  });
  expect(await client.why(id)).toMatchObject({ blocker: { kind: 'approval' }, nextCommand: `hive approve ${approval.id}` });
  while ((await client.why(away)).blocker?.kind !== 'signal') await rest();
  // While they wait they hold no worker: this one goes, and another goes on.
  const workers = await descendants(stack.pid, 'apps/worker/src/main.ts');
  killAll(workers);
  await allGone(workers);
  expect(await remote.callBack({ output: { answer: 42 } })).toEqual([200, 'taken']);
  expect(await remote.callBack({ output: { answer: 43 } })).toEqual([200, 'known']);
  await client.decideApproval(approval.id, { decision: 'APPROVED', notes: 'go on' });

  for await (const { event } of client.events(id)) if (event.type === 'run.finished') expect(event.status).toBe('SUCCESS');
  for await (const { event } of client.events(away)) if (event.type === 'run.finished') expect(event.status).toBe('SUCCESS');
  expect((await client.run(away)).nodes[0]?.output).toEqual({ answer: 42 });
  expect(remote.posts).toMatchObject([{ input: { question: 7 }, callbackUrl: expect.stringContaining(stack.url) }]);
  const run = await client.run(id);
  const effects = await client.effects({ run: id });
  const key = (name: string) => effects.find(({ args }) => (args as { name: string }).name === name)?.id;
  expect(run.nodes[0]?.output).toEqual({
    draws: (approval.input as { draws: number[] }).draws,
    approved: true,
    notes: 'go on',
    help: { helped: true },
    one: { name: 'one', idempotencyKey: key('one') },
    two: { name: 'two', idempotencyKey: key('two') },
  });
  expect(run.effects).toEqual({ confirmed: 2 });
  const deeds = (await readFile(join(records, 'deeds'), 'utf8')).trim().split('\n');
  expect(deeds.filter((deed) => deed !== 'execution').toSorted()).toEqual(['act one', 'act two', 'draw 1', 'draw 2', 'draw 3']);
  // Once for each wait, and once more to the end.
  expect(deeds.filter((deed) => deed === 'execution')).toHaveLength(4);
});
