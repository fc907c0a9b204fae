import { execFile } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdir, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, isAbsolute, join, relative, sep } from 'node:path';
import { promisify } from 'node:util';
import { type AgentSpec, agentManifestSchema, HiveError, type Trust } from '@hivekeeper/contract';
import type { Log } from '@hivekeeper/kernel';
import type { AgentFiles } from '../../records/registry/index.ts';

const run = promisify(execFile);
const runtimeByExtension: Readonly<Record<string, AgentSpec['runtime']>> = {
  '.ts': 'node',
  '.mts': 'node',
  '.js': 'node',
  '.mjs': 'node',
  '.cjs': 'node',
  '.py': 'python',
};
const installTimeoutMs = 300_000;
const stampName = '.hivekeeper-installed';

/** What reading agents needs. */
export interface AgentFilesOptions {
  readonly shippedDirectory: string;
  /** The process's own; npm gets only what it needs of it. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
}

/** Reads agents from this machine's disk. Those below `shippedDirectory` are trusted: they came with the product. */
export function diskAgentFiles({ shippedDirectory, environment, log }: AgentFilesOptions): AgentFiles {
  const install = oncePerDirectory(installer(npmEnvironment(environment), log));
  return {
    async read(entryPath, given) {
      const path = await realDirectoryOrFile(entryPath);
      const isFile = (await stat(path)).isFile();
      const directory = isFile ? dirname(path) : path;
      const manifest = await readManifest(directory);
      const described = manifest ?? (await describe(directory, isFile ? basename(path) : undefined));
      const parsed = agentManifestSchema.safeParse({ ...described, ...(isFile && { entry: basename(path) }), ...withoutUndefined(given) });
      if (!parsed.success) {
        throw new HiveError('AGENT_INVALID', `the agent at ${entryPath} is not described well`, {
          issues: parsed.error.issues.map((issue) => ({ path: `/${issue.path.join('/')}`, message: issue.message })),
        });
      }
      // Other kinds have nothing here but their manifest, and what that names.
      const hasEntry = parsed.data.kind === 'process';
      if (hasEntry) await mustBeInside(directory, parsed.data.entry);
      const trust: Trust = isBelow(await realpath(shippedDirectory).catch(() => shippedDirectory), directory) ? 'trusted' : 'untrusted';
      if (trust === 'untrusted' && hasEntry) await install(directory);
      return { ...parsed.data, directory, trust, ...(isFile && manifest === undefined && { isSingleFile: true }) };
    },
  };
}

async function realDirectoryOrFile(entryPath: string): Promise<string> {
  if (!isAbsolute(entryPath))
    throw new HiveError('AGENT_INVALID', `${entryPath} is not an absolute path`, {
      issues: [{ path: '/entryPath', message: 'give an absolute path' }],
    });
  try {
    return await realpath(entryPath);
  } catch (cause) {
    throw new HiveError('AGENT_INVALID', `there is nothing at ${entryPath}`, {
      cause,
      issues: [{ path: '/entryPath', message: 'there is nothing at this path' }],
    });
  }
}

async function readManifest(directory: string): Promise<Record<string, unknown> | undefined> {
  const text = await readFile(join(directory, 'agent.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return { ...(JSON.parse(text) as Record<string, unknown>) };
  } catch (cause) {
    throw new HiveError('AGENT_INVALID', `${join(directory, 'agent.json')} is not JSON`, { cause });
  }
}

/** What takes the place of a manifest: names and extensions. */
async function describe(directory: string, file: string | undefined): Promise<Record<string, unknown>> {
  const entry = file ?? (await firstThatExists(directory, ['index.ts', 'index.mjs', 'index.js', 'main.py']));
  if (entry === undefined)
    throw new HiveError('AGENT_INVALID', `${directory} has neither agent.json nor an index.ts, index.mjs, index.js or main.py`);
  return {
    name: basename(entry.startsWith('index.') || entry === 'main.py' ? directory : entry, extname(entry)),
    version: '0.0.0',
    entry,
    runtime: runtimeByExtension[extname(entry)] ?? 'exec',
  };
}

async function firstThatExists(directory: string, names: readonly string[]): Promise<string | undefined> {
  for (const name of names) if ((await stat(join(directory, name)).catch(() => undefined))?.isFile() === true) return name;
  return undefined;
}

async function mustBeInside(directory: string, entry: string): Promise<void> {
  const path = await realpath(join(directory, entry)).catch(() => undefined);
  if (path === undefined || !isBelow(directory, path) || !(await stat(path)).isFile())
    throw new HiveError('AGENT_INVALID', `the entry ${entry} is not a file below ${directory}`, {
      issues: [{ path: '/entry', message: 'there is no such file below the agent’s directory' }],
    });
}

type Install = (directory: string) => Promise<void>;

/**
 * Installs an agent's dependencies once per state of its lockfile (or package.json), without running their scripts.
 * Leaves alone what somebody else has installed there.
 */
const installer =
  (env: NodeJS.ProcessEnv, log: Log): Install =>
  async (directory) => {
    const manifest = await readFile(join(directory, 'package.json'), 'utf8').catch(() => undefined);
    if (manifest === undefined) return;
    const lockfile = await readFile(join(directory, 'package-lock.json'), 'utf8').catch(() => undefined);
    if (lockfile === undefined && !hasDependencies(directory, manifest)) return;
    const wanted = hash('sha256', lockfile ?? manifest);
    const stamp = join(directory, 'node_modules', stampName);
    const installed = await readFile(stamp, 'utf8').catch(() => undefined);
    if (installed === wanted || (installed === undefined && (await isInstalledByItsAuthor(directory)))) return;
    log.info({ directory }, 'installing an agent’s dependencies');
    // Without a lockfile none is made: the directory is its author's, and a new one would count as a change.
    const how = lockfile === undefined ? ['install', '--no-package-lock'] : ['ci'];
    try {
      await run('npm', [...how, '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'], {
        cwd: directory,
        env,
        timeout: installTimeoutMs,
      });
      await mkdir(dirname(stamp), { recursive: true });
      await writeFile(stamp, wanted);
    } catch (cause) {
      throw new HiveError('AGENT_INVALID', `npm could not install the dependencies of ${directory}`, { cause });
    }
  };

/** What npm, pnpm and yarn write when they have finished. */
const finishedNames = ['.package-lock.json', '.modules.yaml', '.yarn-integrity', '.yarn-state.yml'];

/** Whoever registers one file of a repository wants its dependencies used, not what is installed there replaced. */
const isInstalledByItsAuthor = async (directory: string): Promise<boolean> =>
  (await firstThatExists(join(directory, 'node_modules'), finishedNames)) !== undefined;

function hasDependencies(directory: string, manifest: string): boolean {
  try {
    return Object.keys((JSON.parse(manifest) as { dependencies?: object } | null)?.dependencies ?? {}).length > 0;
  } catch (cause) {
    throw new HiveError('AGENT_INVALID', `${join(directory, 'package.json')} is not JSON`, { cause });
  }
}

/** Two installations in one directory would destroy each other's work. */
function oncePerDirectory(install: Install): Install {
  const underWay = new Map<string, Promise<void>>();
  return (directory) => {
    const same = underWay.get(directory);
    if (same !== undefined) return same;
    const mine = install(directory).finally(() => underWay.delete(directory));
    underWay.set(directory, mine);
    return mine;
  };
}

// An agent's own .npmrc can send any variable npm sees to a registry of its choice: it sees none of our secrets.
const npmSees = /^(PATH|HOME|NODE_EXTRA_CA_CERTS|(https?|no)_proxy|npm_config_.*)$/i;

const npmEnvironment = (environment: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => npmSees.test(name)));

function isBelow(directory: string, path: string): boolean {
  const way = relative(directory, path);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

const withoutUndefined = (given: object): object => Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
