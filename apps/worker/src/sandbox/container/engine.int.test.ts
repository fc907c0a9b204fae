import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { newLog, systemClock } from '@hivekeeper/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newPlainRunner } from '../process/index.ts';
import { ownerOf, probeEngine, sweepContainers } from './engine.ts';
import { newContainerRunner } from './runner.ts';

/**
 * With a command line that only pretends to be Podman's: what is asked, in which order, and what is made of the answers. That
 * a real engine does as it is asked is shown by tests/chaos/containers.long.test.ts.
 */
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hive-engine-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A pretended engine: notes its arguments, and answers a verb with a line of shell. */
function pretend(answers: Readonly<Record<string, string>> = {}, name: 'podman' | 'docker' = 'podman') {
  const cases = Object.entries(answers).map(([verb, script]) => `${verb}) ${script} ;;\n`);
  writeFileSync(join(directory, name), `#!/bin/sh\necho "$@" >>${directory}/asked\ncase $1 in\n${cases.join('')}esac\n`);
  chmodSync(join(directory, name), 0o755);
  return { name, file: join(directory, name), environment: { PATH: '/usr/bin:/bin' } } as const;
}
const asked = () => readFileSync(join(directory, 'asked'), 'utf8').trim().split('\n');
const probe = () => probeEngine({ PATH: directory, HOME: '/root', XDG_RUNTIME_DIR: '/run/x', SECRET: 's' });

describe('an engine', () => {
  it('is one that ran a container, with an image made of nothing, and sees nothing of ours', async () => {
    pretend({ image: 'exit 1' });
    expect(await probe()).toMatchObject({
      engine: {
        name: 'podman',
        file: join(directory, 'podman'),
        environment: { PATH: directory, HOME: '/root', XDG_RUNTIME_DIR: '/run/x' },
      },
    });
    expect(asked().map((line) => line.split(' ')[0])).toEqual(['image', 'import', 'run']);
    expect(await probe()).not.toHaveProperty('engine.environment.SECRET');
  });

  it('that runs none is none, and the reason is what it said last', async () => {
    pretend({ run: 'echo first >&2; echo "no cgroups" >&2; exit 125' });
    pretend({ image: 'exit 1', import: 'echo "no daemon" >&2; exit 1' }, 'docker');
    expect(await probe()).toEqual({ reason: 'podman: no cgroups; docker: no daemon' });
  });

  it('that is not there is none', async () => {
    expect(await probe()).toEqual({ reason: 'neither podman nor docker is on the PATH' });
  });

  it('is rid of what killed workers of this machine left, and of nothing else', async () => {
    const { pid } = spawnSync('true');
    const owners = { a: `${hostname()}:${pid}:77`, b: ownerOf(), c: `elsewhere:${pid}:77`, d: `${hostname()}:${process.pid}:1` };
    const lines = Object.entries(owners).map(([id, owner]) => `echo ${id} ${owner}`);
    expect(await sweepContainers(pretend({ ps: 'printf "a\\nb\\nc\\nd\\n"', inspect: lines.join('; ') }))).toBe(2);
    expect(asked().filter((line) => line.startsWith('rm'))).toEqual(['rm --force a', 'rm --force d']);
  });
});

describe('a container', () => {
  const limits = { memoryBytes: 64_000_000, cpuCores: 1, maxProcesses: 8, outputBytes: 1_000, wallTimeMs: 20_000, graceMs: 100 };
  const container = { image: 'i', command: [], environment: { KEY: 'k' }, stdin: 'hello', mounts: [], network: false, limits };
  const run = (answers: Readonly<Record<string, string>>, signal = new AbortController().signal) =>
    newContainerRunner(pretend(answers), {
      plain: newPlainRunner({ clock: systemClock }),
      log: newLog({ level: 'silent', component: 'test' }),
    })(container, { signal });

  it('gets its input and its variables, and is removed when it has ended', async () => {
    const result = await run({ run: 'cat; echo " $KEY"' });
    expect(result).toMatchObject({ kind: 'exited', exitCode: 0 });
    expect(result.stdout.toString()).toBe('hello k\n');
    const name = /--name (hive-\S+)/.exec(asked()[0] ?? '')?.[1];
    expect(asked().slice(1)).toEqual([`kill ${name}`, `rm --force ${name}`]);
  });

  it('that was killed for its memory is told from one that was just killed', async () => {
    expect(await run({ run: 'exit 137', inspect: 'echo true' })).toMatchObject({ kind: 'out-of-memory' });
    expect(await run({ run: 'exit 137', inspect: 'exit 1' })).toMatchObject({ kind: 'signalled', signal: 'SIGKILL' });
  });

  it('is ended and removed with its ticket, though the engine’s command line does not heed', async () => {
    const given = new AbortController();
    const ended = run({ run: 'trap "" TERM; sleep 60' }, given.signal);
    await expect.poll(() => asked().length).toBe(1);
    given.abort();
    expect(await ended).toMatchObject({ kind: 'aborted' });
    expect(asked().map((line) => line.split(' ')[0])).toEqual(['run', 'kill', 'rm']);
  });
});
