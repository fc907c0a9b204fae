import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { allGone, descendants, killAll, startStack, temporaryDirectory } from '../stack/stack.ts';

describe('hive up', () => {
  test('keeps its first key in a private file and wants it on all but the probes, alone on its data, and stops on SIGTERM with 0', async () => {
    await using directory = await temporaryDirectory('key');
    await using stack = await startStack({ dataDirectory: directory.path });
    expect((await stat(join(directory.path, 'admin.key'))).mode & 0o777).toBe(0o600);
    for (const path of ['/health', '/health/db', '/ready', '/live'])
      expect([path, (await fetch(stack.url + path)).status]).toEqual([path, 200]);
    for (const path of ['/v1/runs', '/v1/openapi.json', '/metrics', '/api/agents?projectId=1'])
      expect([path, (await fetch(stack.url + path)).status]).toEqual([path, 401]);
    expect((await stack.client.status()).authentication).toBe('api-key');

    // A second process on the same data is refused, and told which one holds it.
    await expect(startStack({ dataDirectory: directory.path })).rejects.toThrow(new RegExp(`DATA_DIRECTORY_IN_USE[^]*${stack.pid}`));
    await stack.client.ready();

    const below = await descendants(stack.pid);
    expect(below.length).toBeGreaterThanOrEqual(3);
    expect(await stack.stop()).toBe(0);
    await allGone(below);
  });

  test('shows no agent its keys, whatever it is granted, and its reports to any', { tags: ['needs-bwrap'] }, async () => {
    await using directory = await temporaryDirectory('keys');
    // Private to whoever runs this: where that is root, the agent must stay root outside, and could read what root can.
    await chmod(directory.path, 0o700);
    const [agent, data] = [join(directory.path, 'spy'), join(directory.path, 'data')];
    await mkdir(agent);
    const manifest = { name: 'spy', version: '1.0.0', runtime: 'exec', entry: 'spy.sh', grants: [{ field: 'target', access: 'read' }] };
    await writeFile(join(agent, 'agent.json'), JSON.stringify(manifest));
    const script = `#!/bin/sh\nprintf '{"seen":"%s"}' "$(cat ${data}/admin.key ${data}/postgres/*.json ${data}/reports/here | tr -d '"\\n')"\n`;
    await writeFile(join(agent, 'spy.sh'), script, { mode: 0o755 });
    await using stack = await startStack({ dataDirectory: data, roots: [directory.path] });
    await writeFile(join(data, 'reports', 'here'), 'a report');
    await stack.client.registerAgent({ entryPath: agent });
    await stack.client.deployWorkflow({ name: 'spy', nodes: [{ id: 'spy', agent: 'spy', input: { target: '{{ context.target }}' } }] });
    const outcome = async (target: string) => {
      const { id } = await stack.client.startRun('spy', { context: { target } });
      for await (const { event } of stack.client.events(id)) if (event.type === 'run.finished') break;
      const { status, nodes, error } = await stack.client.run(id);
      return { status, output: nodes[0]?.output, code: error?.code };
    };
    expect(await outcome(directory.path)).toMatchObject({ status: 'SUCCESS', output: { seen: '' } });
    expect(await outcome(join(data, 'reports'))).toMatchObject({ status: 'SUCCESS', output: { seen: 'a report' } });
    for (const target of [data, join(data, 'admin.key'), join(data, 'postgres')])
      expect(await outcome(target)).toMatchObject({ status: 'FAILED', code: 'PATH_NOT_ALLOWED' });
    const two = join(directory.path, 'two');
    await expect(startStack({ dataDirectory: two, roots: [join(two, 'postgres')] })).rejects.toThrow('CONFIGURATION_INVALID');
  });

  test('with --json tells one line: that it is ready, or why it is not', async () => {
    await using directory = await temporaryDirectory('json');
    const hive = join(import.meta.dirname, '../../apps/cli/bin/hive.mjs');
    const up = (...args: string[]) =>
      spawn(process.execPath, [hive, 'up', '--json', '--data', directory.path, '--workers', '0', ...args], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
    const wrong = up('--port', 'abc');
    const [told, said, [exitCode]] = await Promise.all([text(wrong.stdout), text(wrong.stderr), once(wrong, 'exit')]);
    expect([told.split('\n').length, exitCode]).toEqual([2, 2]);
    expect(JSON.parse(told)).toMatchObject({ error: { code: 'CONFIGURATION_INVALID', message: expect.stringMatching(/^--port: /) } });
    expect(said).toMatch(/^CONFIGURATION_INVALID: --port: [^]*\nNext: hive up --help\n$/);
    const right = up('--port', '0');
    const output = text(right.stdout);
    const [line] = (await once(right.stdout, 'data')) as [Buffer];
    expect(JSON.parse(line.toString())).toMatchObject({ ready: true, dataDirectory: directory.path });
    right.kill('SIGTERM');
    await once(right, 'exit');
    expect((await output).split('\n')).toHaveLength(2);
  });

  test('leaves no child alive after a kill -9, and the next start on the same data is clean', async () => {
    await using directory = await temporaryDirectory('killed-up');
    const first = await startStack({ dataDirectory: directory.path });
    const below = await descendants(first.pid);
    killAll([first.pid]);
    await allGone([first.pid, ...below]);
    await using second = await startStack({ dataDirectory: directory.path });
    expect(second.adminKey).toBe(first.adminKey);
    await second.client.ready();
  });

  test('without authentication serves loopback names only', async () => {
    await using directory = await temporaryDirectory('open');
    await using stack = await startStack({ dataDirectory: directory.path, isOpen: true });
    expect((await fetch(`${stack.url}/v1/runs`)).status).toBe(200);
    expect((await fetch(`${stack.url}/v1/runs`, { headers: { origin: 'http://evil.test' } })).status).toBe(421);
    await expect(
      startStack({ dataDirectory: join(directory.path, 'other'), isOpen: true, environment: { HIVE_HOST: '0.0.0.0' } }),
    ).rejects.toThrow(/CONFIGURATION_INVALID[^]*loopback/);
  });
});
