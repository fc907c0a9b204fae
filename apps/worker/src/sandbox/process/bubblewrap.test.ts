import { describe, expect, it } from 'vitest';
import { confinementArguments } from './bubblewrap.ts';
import type { Command } from './command.ts';

const command: Command = {
  file: '/bin/true',
  args: [],
  environment: { SECRET: 'canary' },
  workingDirectory: '/srv/agent',
  stdin: 'canary',
  visiblePaths: [
    { path: '/tmp/project/out', access: 'write' },
    { path: '/tmp/project', access: 'read' },
  ],
  hiddenPaths: [],
  network: false,
  limits: { memoryBytes: 1_000, cpuCores: 1, maxProcesses: 1, outputBytes: 1, wallTimeMs: 1, graceMs: 1 },
};
const system = { always: ['--ro-bind', '/usr', '/usr'], withNetwork: ['host-resolver'], withoutNetwork: ['own-hosts'] };
const features = { canForbidUserNamespaces: true, canBindDescriptors: false };
const argumentsOf = (changes: Partial<Command> = {}) => confinementArguments({ ...command, ...changes }, system, features).join(' ');

describe('the arguments of bubblewrap', () => {
  it('share the network only where it is granted', () => {
    expect(argumentsOf()).not.toContain('--share-net');
    expect(argumentsOf()).toContain('own-hosts');
    expect(argumentsOf({ network: true })).toMatch(/--unshare-all .*--share-net host-resolver/);
  });

  it('mount /tmp before what lies below it, a parent before its child, and close the root last', () => {
    expect(argumentsOf()).toMatch(
      /--tmpfs \/tmp --ro-bind \/tmp\/project \/tmp\/project --bind \/tmp\/project\/out \/tmp\/project\/out --remount-ro \/ --chdir \/srv\/agent$/,
    );
  });

  it('name descriptors in the order of the mounts, where bubblewrap can take them', () => {
    const text = confinementArguments(command, system, { ...features, canBindDescriptors: true }).join(' ');
    expect(text).toContain('--ro-bind-fd 4 /tmp/project --bind-fd 5 /tmp/project/out');
  });

  it('hold neither environment nor input, which every user of the machine could read there', () => {
    expect(argumentsOf()).not.toContain('canary');
  });

  it('forbid further user namespaces where bubblewrap can', () => {
    expect(argumentsOf()).toContain('--disable-userns');
    expect(confinementArguments(command, system, { ...features, canForbidUserNamespaces: false })).not.toContain('--disable-userns');
  });
});
