import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HiveError, type LeasedTicket, leasedTicketSchema } from '@hivekeeper/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CommandSources, commandFor as commandWith, maxArgumentBytes } from './command.ts';

let top: string;
beforeEach(() => {
  top = realpathSync(mkdtempSync(join(tmpdir(), 'hive-command-')));
  writeFileSync(join(top, 'index.ts'), '');
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

const ulid = '01JD0000000000000000000000';
const ticketOf = ({ agent = {}, ...changes }: Omit<Partial<LeasedTicket>, 'agent'> & { readonly agent?: object } = {}): LeasedTicket => ({
  ...leasedTicketSchema.parse({
    ticketId: `tkt_${ulid}.1`,
    token: '1.1',
    runId: `run_${ulid}`,
    nodeId: 'scan',
    slot: 0,
    attempt: 2,
    agent: { name: 'one', version: '1.0.0', directory: top, trust: 'trusted', ...agent },
    input: { a: 1 },
    timeoutMs: 5_000,
    leaseMs: 10_000,
  }),
  ...changes,
});
const sources = (changes: Partial<CommandSources> = {}): CommandSources => ({
  runtimes: { node: { file: '/opt/node/bin/node', paths: ['/opt/node/bin/node'] } },
  workspace: { roots: [top], protectedDirectories: [], isSealed: () => false },
  environment: {},
  ...changes,
});
const socket = { directory: '/tmp/hive-sockets-1-x/1', path: '/tmp/hive-sockets-1-x/1/hive.sock' };
const commandFor = (ticket: LeasedTicket, from: CommandSources) => commandWith(ticket, from, socket);
const refusal = (ticket: LeasedTicket) => {
  try {
    return commandFor(ticket, sources());
  } catch (error) {
    return HiveError.is(error) ? `${error.code} ${error.message}` : error;
  }
};

describe('the command of a ticket', () => {
  it('runs the entry with our own Node, in the agent’s directory, with the input three times over', () => {
    const command = commandFor(ticketOf({ action: 'look' }), sources());
    expect(command).toMatchObject({ file: '/opt/node/bin/node', workingDirectory: top, stdin: '{"a":1}', network: false });
    expect(command.args.slice(-2)).toEqual([join(top, 'index.ts'), '{"a":1}']);
    expect(command.environment).toEqual({
      PATH: '/opt/node/bin:/usr/local/bin:/usr/bin:/bin',
      HOME: '/tmp',
      LANG: 'C.UTF-8',
      AGENT_INPUT: '{"a":1}',
      HIVE_RUN_ID: `run_${ulid}`,
      HIVE_NODE_ID: 'scan',
      HIVE_ATTEMPT: '2',
      HIVE_ACTION: 'look',
      HIVE_SOCKET: socket.path,
    });
    expect(command.visiblePaths).toEqual(
      expect.arrayContaining([
        { path: top, access: 'read' },
        { path: '/opt/node/bin/node', access: 'read' },
      ]),
    );
  });

  it('carries a large input on stdin alone, because the kernel refuses a longer argument', () => {
    const fitting = { text: 'x'.repeat(maxArgumentBytes - 11) };
    expect(commandFor(ticketOf({ input: fitting }), sources()).environment['AGENT_INPUT']).toHaveLength(maxArgumentBytes);
    const command = commandFor(ticketOf({ input: { text: `${fitting.text}x` } }), sources());
    expect(command.environment).not.toHaveProperty('AGENT_INPUT');
    expect(command.args.at(-1)).toBe(join(top, 'index.ts'));
    expect(command.stdin).toHaveLength(maxArgumentBytes + 1);
  });

  it('passes on declared variables that the worker has, but none of the worker’s own', () => {
    const agent = { environment: ['API_KEY', 'ABSENT', 'HIVE_TOKEN', 'LD_PRELOAD', 'NODE_OPTIONS', 'PATH'] };
    const { environment } = commandFor(
      ticketOf({ agent }),
      sources({ environment: { API_KEY: 'k', HIVE_TOKEN: 't', LD_PRELOAD: 'l', NODE_OPTIONS: 'n', PATH: 'p', OTHER: 'o' } }),
    );
    expect(environment).toMatchObject({ API_KEY: 'k', PATH: '/opt/node/bin:/usr/local/bin:/usr/bin:/bin' });
    expect(Object.keys(environment).sort()).toEqual([
      'AGENT_INPUT',
      'API_KEY',
      'HIVE_ATTEMPT',
      'HIVE_NODE_ID',
      'HIVE_RUN_ID',
      'HIVE_SOCKET',
      'HOME',
      'LANG',
      'PATH',
    ]);
  });

  it('leaves V8 three quarters of the memory', () => {
    const command = commandFor(ticketOf({ agent: { limits: { memoryBytes: 512 * 1024 * 1024 } } }), sources());
    expect(command.args).toContain('--max-old-space-size=384');
  });

  it('makes a path writable that is granted for writing, though it is visible for reading as well', () => {
    const agent = {
      grants: [
        { field: 'there', access: 'write' },
        { field: 'here', access: 'read' },
      ],
    };
    const { visiblePaths } = commandFor(ticketOf({ agent, input: { here: top, there: top } }), sources());
    expect(visiblePaths.filter(({ path }) => path === top)).toEqual([{ path: top, access: 'write' }]);
  });

  it('shows an agent of a single file that file and what Node needs to find, and nothing else of the directory', () => {
    mkdirSync(join(top, 'node_modules'));
    writeFileSync(join(top, 'package.json'), '{}');
    writeFileSync(join(top, 'diary'), 'secret');
    const { visiblePaths, workingDirectory } = commandFor(ticketOf({ agent: { isSingleFile: true } }), sources());
    const shown = visiblePaths.map(({ path }) => path).filter((path) => path.startsWith(top));
    expect(shown.toSorted()).toEqual([join(top, 'index.ts'), join(top, 'node_modules'), join(top, 'package.json')]);
    expect(workingDirectory).toBe(top);
  });

  it('hides what is protected in whatever it makes visible, the agent’s own directory included', () => {
    const data = join(top, 'data');
    mkdirSync(data);
    const workspace = { roots: [top], protectedDirectories: [data], isSealed: () => false };
    expect(commandFor(ticketOf(), sources({ workspace })).hiddenPaths).toEqual([data]);
    writeFileSync(join(data, 'index.ts'), '');
    expect(() => commandFor(ticketOf({ agent: { directory: data } }), sources({ workspace }))).toThrow('kept from agents');
  });

  it('sees the directory of its socket, which is its own', () => {
    const { visiblePaths } = commandFor(ticketOf(), sources());
    expect(visiblePaths).toContainEqual({ path: socket.directory, access: 'read', isNew: true, isPrivate: true });
  });

  it('runs an executable itself', () => {
    writeFileSync(join(top, 'run'), '#!/bin/sh\n');
    const ticket = ticketOf({ agent: { runtime: 'exec', entry: 'run' } });
    expect(refusal(ticket)).toMatch(/^AGENT_NOT_RUNNABLE .* is not executable/);
    chmodSync(join(top, 'run'), 0o755);
    expect(commandFor(ticket, sources())).toMatchObject({ file: join(top, 'run'), args: ['{"a":1}'] });
  });

  it.each([
    ['its directory is not here', { directory: '/no/such/directory' }, 'is not present'],
    ['its entry is not there', { entry: 'absent.ts' }, 'is not present'],
    ['its entry lies elsewhere', { entry: '../../etc/passwd' }, /is not present|outside its directory/],
    ['it has no directory', { directory: undefined }, 'kind process'],
    ['it is built in', { kind: 'builtin' }, 'kind builtin'],
    ['there is no Python', { runtime: 'python' }, 'python3'],
  ])('is refused where %s', (_, agent, reason) => {
    expect(refusal(ticketOf({ agent }))).toMatch(/^AGENT_NOT_RUNNABLE/);
    expect(refusal(ticketOf({ agent }))).toMatch(reason);
  });

  it('is refused for TypeScript below node_modules, which Node does not run there', () => {
    const directory = join(top, 'node_modules', 'agent');
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'index.ts'), '');
    expect(refusal(ticketOf({ agent: { directory } }))).toContain('no TypeScript below node_modules');
  });
});
