// @module-tag needs-bwrap
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type JsonObject, leasedTicketSchema } from '@hivekeeper/contract';
import { newLog, systemClock } from '@hivekeeper/kernel';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openRoom, type Room } from '../../room/index.ts';
import { closeInheritedDescriptors, probeSandbox } from '../../sandbox/process/index.ts';
import { type ExecuteTicket, newExecutor } from '../attempt/index.ts';
import { findRuntimes } from '../process/index.ts';
import { newCodingKind } from './execute.ts';

const log = newLog({ level: 'silent', component: 'test' });
const ulid = '01JD0000000000000000000000';
let base: string;
let repository: string;
let room: Room;
let run: ExecuteTicket;
let count = 0;

const git = (...args: readonly string[]) =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: repository, encoding: 'utf8' });

beforeAll(async () => {
  closeInheritedDescriptors();
  base = realpathSync(mkdtempSync(join(tmpdir(), 'hive-coding-')));
  chmodSync(base, 0o755);
  repository = join(base, 'repository');
  for (const name of ['repository', 'agent', 'empty', 'room']) mkdirSync(join(base, name));
  git('init', '--quiet', '--initial-branch', 'main');
  writeFileSync(join(repository, 'note'), 'one\ntwo\n');
  writeFileSync(join(repository, '.gitignore'), 'secret\n');
  git('add', '.');
  git('commit', '--quiet', '-m', 'first');
  git('branch', 'old');
  writeFileSync(join(repository, 'note'), 'one\ntwo\nthree\n');
  git('commit', '--quiet', '-am', 'second');
  // What the person beside it has not committed is theirs.
  writeFileSync(join(repository, 'note'), 'mine\n');
  writeFileSync(join(repository, 'secret'), 'mine\n');
  const searchPath = process.env['PATH'] ?? '';
  const [probe, runtimes] = await Promise.all([probeSandbox({ clock: systemClock, log, searchPath }), findRuntimes(searchPath)]);
  if (!probe.available) expect.fail(`no sandbox: ${probe.reasons.join('; ')}`);
  room = openRoom('checkouts', join(base, 'room'));
  const workspace = { roots: [base], protectedDirectories: [], isSealed: room.holds };
  const sources = { runtimes, environment: {}, workspace, sandbox: probe.runner };
  run = newExecutor({ coding: newCodingKind({ ...sources, room, searchPath, clock: systemClock }) });
});
afterAll(() => {
  room[Symbol.dispose]();
  rmSync(base, { recursive: true, force: true });
});

interface Scene {
  readonly input?: JsonObject;
  readonly timeoutMs?: number;
  readonly limits?: object;
  readonly signal?: AbortSignal;
  readonly command?: readonly string[];
}

/** Runs a shell script as a coding agent; gives its output, or why there is none. */
async function code(script: string, scene: Scene = {}) {
  const execution = await execute(script, scene);
  if (execution.kind !== 'finished') return execution.kind;
  return execution.outcome.ok ? (execution.outcome.output as JsonObject) : execution.outcome.error;
}

function execute(script: string, { input = {}, timeoutMs = 20_000, limits = {}, signal = new AbortController().signal, command }: Scene) {
  const agent = {
    ...{ name: 'coder', version: '1.0.0', kind: 'coding', trust: 'untrusted', directory: join(base, 'agent'), limits },
    coding: { command: command ?? ['sh', '-c', script, 'sh', '{task}'] },
  };
  const ticket = leasedTicketSchema.parse({
    ...{
      ticketId: `tkt_${ulid}.4`,
      token: '1.1',
      runId: `run_${ulid}`,
      nodeId: 'n',
      slot: 0,
      attempt: 1,
      agent,
      timeoutMs,
      leaseMs: 1_000,
    },
    input: { repository, task: 'do it', ...input },
  });
  const socket = join(base, `socket-${(count += 1)}`);
  mkdirSync(socket);
  const paths = { directory: socket, path: join(socket, 'hive.sock') };
  return run(ticket, { signal, onProgress: () => undefined, socket: paths, log });
}

/** Everything of the repository that is not ignored or git's own bookkeeping of looks. */
const state = () => [
  git('status', '--porcelain'),
  git('for-each-ref'),
  git('count-objects'),
  readFileSync(join(repository, 'note'), 'utf8'),
  readFileSync(join(repository, '.git/config'), 'utf8'),
  readdirSync(join(repository, '.git')).join(),
];
const places = () => readdirSync(join(base, 'room')).flatMap((name) => readdirSync(join(base, 'room', name)));

it('gives the diff of what the command did, commits included, as a patch that applies; and touches nothing of the repository', async () => {
  const before = state();
  const done = (await code(
    'echo "$1: $(cat note | wc -l)"; echo four >>note; git commit -qam mine; printf "\\000\\001" >picture; rm .gitignore; echo no >secret',
  )) as { base: string; diff: string };
  expect(done).toMatchObject({
    base: git('rev-parse', 'main').trim(),
    stat: { files: 4, insertions: 2, deletions: 1 },
    said: 'do it: 3\n',
  });
  expect(state()).toEqual(before);
  expect(places()).toEqual([]);
  const copy = join(base, 'copy');
  git('clone', '--quiet', repository, copy);
  execFileSync('git', ['apply', '--index'], { cwd: copy, input: done.diff });
  expect(readFileSync(join(copy, 'note'), 'utf8')).toBe('one\ntwo\nthree\nfour\n');
  expect([...readFileSync(join(copy, 'picture'))]).toEqual([0, 1]);
});

it('shows the command the commit, and neither what a person has not committed nor a way to write into the repository', async () => {
  const script = `cat note; cat ${repository}/secret ${repository}/note 2>&1; echo x >${repository}/.git/objects/x; git branch mine; git push origin HEAD:mine; git config --global a.b c; id -u`;
  const said = (await code(script, { input: { ref: 'old' } })) as { said: string; base: string };
  expect(said.base).toBe(git('rev-parse', 'old').trim());
  expect(said.said).toMatch(/^one\ntwo\ncat: .*secret.*: No such file.*\ncat: .*note.*: No such file.*\n65532\n$/);
  expect(git('for-each-ref', '--format', '%(refname:short)')).toBe('main\nold\n');
  expect(existsSync(join(repository, '.git/objects/x'))).toBe(false);
});

it('two at once on one repository do not see each other', async () => {
  const script = 'echo "$1" >note; echo "$1" >own; ls; cat note';
  const both = await Promise.all(['a', 'b'].map((task) => code(script, { input: { task } })));
  expect(both).toMatchObject(['a', 'b'].map((task) => ({ said: `note\nown\n${task}\n`, diff: expect.stringContaining(`+${task}\n`) })));
});

it('what an agent makes of its git directory counts for nothing', async () => {
  const hostile = 'git config core.fsmonitor "touch /tmp/x"; git config diff.external false; rm -rf .git/refs .git/HEAD; echo y >>note';
  expect(await code(hostile)).toMatchObject({ stat: { files: 1, insertions: 1, deletions: 0 } });
  expect(await code('rm -rf .git; echo "* diff=x filter=x" >.gitattributes')).toMatchObject({ stat: { files: 1 } });
  expect(await code('true')).toMatchObject({ diff: '', stat: { files: 0 }, files: [] });
});

it.each([
  ['a ref that is not there', { script: 'true', input: { ref: 'none' } }, 'REPOSITORY_UNUSABLE'],
  ['a ref that looks like an option', { script: 'true', input: { ref: '--upload-pack=x' } }, 'REPOSITORY_UNUSABLE'],
  ['no repository', { script: 'true', input: { repository: null } }, 'AGENT_INPUT_SCHEMA'],
  ['a directory that is none', { script: 'true', input: { repository: '<empty>' } }, 'REPOSITORY_UNUSABLE'],
  ['a path outside the roots', { script: 'true', input: { repository: '/etc' } }, 'PATH_NOT_ALLOWED'],
  ['a command that fails', { script: 'echo bad >&2; exit 3' }, 'AGENT_FAILED'],
  ['a program that is not there', { script: '', command: ['no-such-program'] }, 'AGENT_NOT_RUNNABLE'],
  ['a program outside of its directory', { script: '', command: ['./../../../../bin/sh'] }, 'AGENT_NOT_RUNNABLE'],
  ['a diff that is too large', { script: 'head -c 9000 /dev/urandom >big', limits: { outputBytes: 4_096 } }, 'AGENT_OUTPUT_TOO_LARGE'],
  ['a repository in the tree', { script: 'git init -q x; cd x; git commit -q --allow-empty -m x' }, 'AGENT_OUTPUT_INVALID'],
  ['text in another encoding', { script: 'printf "\\344\\n" >note' }, 'AGENT_OUTPUT_INVALID'],
  ['too much time', { script: 'sleep 60', timeoutMs: 300 }, 'NODE_TIMED_OUT'],
] as const)('with %s fails, and leaves nothing', async (_what, failing, expected) => {
  const { script, ...scene } = failing as Scene & { readonly script: string };
  const input = scene.input?.['repository'] === '<empty>' ? { repository: join(base, 'empty') } : (scene.input ?? {});
  expect(await code(script, { ...scene, input })).toMatchObject({ code: expected });
  expect(places()).toEqual([]);
});

it('what it says that it cost is charged, also where its work cannot be used', async () => {
  const script = `echo '{"costMicroUsd": 7}' >&2; git init -q x; cd x; git commit -q --allow-empty -m x`;
  expect(await execute(script, {})).toMatchObject({
    outcome: { ok: false, error: { excerpt: expect.stringContaining('a repository lies in the tree') } },
    costMicroUsd: 7,
  });
});

it('is ended with its ticket, and what a killed worker left is removed at the next start', async () => {
  const given = new AbortController();
  const ended = code('echo started >&2; sleep 60', { signal: given.signal });
  await expect.poll(places).not.toEqual([]);
  given.abort('revoked');
  expect(await ended).toBe('aborted');
  expect(places()).toEqual([]);
  const { pid } = spawnSync('true');
  const left = join(base, 'room', `hive-checkouts-${pid}-x`);
  mkdirSync(join(left, '1/tree/.git'), { recursive: true });
  openRoom('checkouts', join(base, 'room'))[Symbol.dispose]();
  expect(existsSync(left)).toBe(false);
});
