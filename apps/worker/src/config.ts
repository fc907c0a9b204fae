import { realpathSync, statSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import { delimiter, isAbsolute, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { HiveError, labelSchema, nameSchema } from '@hivekeeper/contract';
import { type SettingValues, parseSetting, readSettings } from '@hivekeeper/kernel';

/** Everything the worker reads from outside: its options, and the environment where an option is absent. */
export const workerSettings = {
  url: {
    variable: 'HIVE_URL',
    option: '--url',
    description: 'Address of the control plane.',
    defaultText: 'http://127.0.0.1:9002',
    parse: parseUrl,
  },
  token: {
    variable: 'HIVE_TOKEN',
    option: '--token',
    description: 'API key with the role worker. An option is visible to other users of the machine: prefer the variable or HIVE_TOKEN_FD.',
    parse: parseSetting.text,
  },
  tokenFd: {
    variable: 'HIVE_TOKEN_FD',
    option: '--token-fd',
    description: 'Number of an inherited file descriptor that holds the API key.',
    parse: parseSetting.integer(0, 1_023),
  },
  name: {
    variable: 'HIVE_WORKER_NAME',
    option: '--name',
    description: 'Name of the worker in lists; the host name where absent.',
    parse: parseName,
  },
  parallel: {
    variable: 'HIVE_PARALLEL',
    option: '--parallel',
    description: 'How many agents run at once; one a core where absent.',
    parse: parseSetting.integer(1, 1_000),
  },
  roots: {
    variable: 'HIVE_ROOTS',
    option: '--root',
    description:
      'Directories below which agents may be granted paths, separated by a colon (the option may be repeated); the working directory where absent.',
    parse: parseRoots,
  },
  protectedDirectories: {
    variable: 'HIVE_PROTECTED',
    option: '--protect',
    description:
      'Directories that no agent may see, though they lie below a root, separated by a colon (the option may be repeated); a root inside of one stays open.',
    parse: parseDirectories,
  },
  labels: {
    variable: 'HIVE_LABELS',
    option: '--label',
    description: 'What only some workers have, for nodes that require it, separated by commas (the option may be repeated): gpu,eu-west.',
    parse: parseLabels,
  },
  httpHosts: {
    variable: 'HIVE_HTTP_HOSTS',
    option: '--http-host',
    description:
      'Hosts at which agents behind HTTP may be, separated by commas (the option may be repeated): agents.example.com, *.example.com; every public host where absent.',
    parse: parseHosts,
  },
  httpPrivate: {
    variable: 'HIVE_HTTP_PRIVATE',
    option: '--http-private',
    description: 'Whether agents behind HTTP may be on this machine or in the local network.',
    defaultText: 'false',
    parse: parseSetting.oneOf('true', 'false'),
  },
  callbackUrl: {
    variable: 'HIVE_CALLBACK_URL',
    option: '--callback-url',
    description: 'Address under which agents behind HTTP reach the control plane; the one of --url where absent.',
    parse: parseUrl,
  },
  logLevel: {
    variable: 'HIVE_LOG_LEVEL',
    option: '--log-level',
    description: 'What is logged: trace, debug, info, warn, error, fatal or silent.',
    defaultText: 'info',
    parse: parseSetting.oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
  },
} as const;

/** The worker's settings, complete. */
export type WorkerConfig = Omit<
  SettingValues<typeof workerSettings>,
  'name' | 'parallel' | 'roots' | 'protectedDirectories' | 'labels' | 'callbackUrl'
> & {
  readonly name: string;
  readonly parallel: number;
  readonly roots: readonly string[];
  readonly protectedDirectories: readonly string[];
  readonly labels: readonly string[];
  readonly callbackUrl: string;
};

/**
 * Reads the settings of a worker.
 *
 * @throws HiveError CONFIGURATION_INVALID naming every fault
 */
export function readConfig(args: readonly string[], environment: Readonly<Record<string, string | undefined>>): WorkerConfig {
  const { values, faults } = readSettings(workerSettings, { options: optionsOf(args), environment });
  if (faults.length > 0)
    throw new HiveError('CONFIGURATION_INVALID', faults.map(({ source, message }) => `${source}: ${message}`).join('; '));
  return {
    ...values,
    name: values.name ?? nameOfHost(hostname()),
    parallel: values.parallel ?? availableParallelism(),
    roots: values.roots ?? parseRoots(process.cwd()),
    protectedDirectories: values.protectedDirectories ?? [],
    labels: values.labels ?? [],
    callbackUrl: values.callbackUrl ?? values.url,
  };
}

function optionsOf(args: readonly string[]): Readonly<Record<string, string | undefined>> {
  const text = { type: 'string' } as const;
  const many = { type: 'string', multiple: true } as const;
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        url: text,
        token: text,
        'token-fd': text,
        name: text,
        parallel: text,
        root: many,
        protect: many,
        label: many,
        'http-host': many,
        'http-private': text,
        'callback-url': text,
        'log-level': text,
      },
    });
    const { 'token-fd': tokenFd, 'log-level': logLevel, root, protect, label, ...others } = values;
    const { 'http-host': hosts, 'http-private': httpPrivate, 'callback-url': callbackUrl, ...rest } = others;
    const directories = { roots: root?.join(delimiter), protectedDirectories: protect?.join(delimiter) };
    return { ...rest, ...directories, tokenFd, logLevel, labels: label?.join(','), httpHosts: hosts?.join(','), httpPrivate, callbackUrl };
  } catch (error) {
    throw new HiveError('CONFIGURATION_INVALID', error instanceof Error ? error.message : String(error));
  }
}

function parseUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new RangeError(`expected an address such as http://127.0.0.1:9002, got "${text}"`);
  return text;
}

function parseName(text: string): string {
  const name = nameSchema.safeParse(text);
  if (!name.success) throw new RangeError(name.error.issues[0]?.message ?? 'not a name');
  return name.data;
}

/** The top of the tree would grant everything. */
function parseRoots(text: string): readonly string[] {
  const roots = parseDirectories(text);
  if (roots.includes('/')) throw new RangeError('/ would grant every path; name the directories that agents work in');
  return roots;
}

/** Canonical, so that a grant's canonical path can be compared. */
function parseDirectories(text: string): readonly string[] {
  return text
    .split(delimiter)
    .filter(Boolean)
    .map((given) => {
      const path = isAbsolute(given) ? given : resolve(given);
      const directory = statSync(path, { throwIfNoEntry: false })?.isDirectory() ? realpathSync(path) : undefined;
      if (directory === undefined) throw new RangeError(`${path} is not a directory`);
      return directory;
    });
}

function parseLabels(text: string): readonly string[] {
  const labels = text
    .split(',')
    .map((label) => label.trim())
    .filter(Boolean);
  for (const label of labels) {
    const fault = labelSchema.safeParse(label).error?.issues[0];
    if (fault !== undefined) throw new RangeError(`"${label}" is no label: ${fault.message}`);
  }
  return labels;
}

function parseHosts(text: string): readonly string[] {
  const hosts = text
    .split(',')
    .map((host) => host.trim())
    .filter(Boolean);
  for (const host of hosts)
    if (!/^(\*\.)?[A-Za-z0-9._:-]+$/.test(host)) throw new RangeError(`"${host}" is no host such as agents.example.com or *.example.com`);
  return hosts;
}

/** Host names may hold characters that names may not. */
function nameOfHost(host: string): string {
  const name = nameSchema.safeParse(host.replace(/[^A-Za-z0-9._-]+/g, '-').slice(0, 100));
  return name.success ? name.data : 'worker';
}
