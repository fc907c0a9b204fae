// @module-tag needs-bwrap
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { allGone, descendants, killAll, rest, startStack, temporaryDirectory } from '../stack/stack.ts';

test('an agent’s code sleeps, asks a person and another agent and acts, each once, though its worker is killed meanwhile', async () => {
  await using directory = await temporaryDirectory('durable');
  const records = join(directory.path, 'records');
  await mkdir(records, { mode: 0o777 });
  await using stack = await startStack({ dataDirectory: join(directory.path, 'data'), roots: [directory.path], leaseMs: 2_000 });
  const { client } = stack;
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
  // While it waits it holds no worker: this one goes, and another goes on.
  const workers = await descendants(stack.pid, 'apps/worker/src/main.ts');
  killAll(workers);
  await allGone(workers);
  await client.decideApproval(approval.id, { decision: 'APPROVED', notes: 'go on' });

  for await (const { event } of client.events(id)) if (event.type === 'run.finished') expect(event.status).toBe('SUCCESS');
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
