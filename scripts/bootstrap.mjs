/**
 * `npm run demo`, `npm test`, `npm run test:sim`, `npm run test:chaos` and `npm run bench` begin here: installs what package-lock.json
 * asks for and node_modules lacks, then runs the command with the project's own Node. Plain JavaScript without dependencies: Node 20 runs it.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { findNode, leastMajor, projectDirectory, runInPlace } from './project-node.mjs';

const commands = {
  demo: ['apps/cli/bin/hive.mjs', 'demo'],
  test: ['scripts/test.mjs'],
  'test:sim': ['tests/simulation/run.ts'],
  'test:chaos': ['tests/chaos/run.ts'],
  bench: ['benchmarks/run.ts'],
};

const [name, ...args] = process.argv.slice(2);
if (!Object.hasOwn(commands, name ?? '')) fail(`usage: node scripts/bootstrap.mjs ${Object.keys(commands).join('|')} [arguments]`);

if (!isInstalled()) install();
if (name === 'bench') spawnSync('sh', [join(projectDirectory, 'scripts/setup-system.sh'), 'bench'], { stdio: 'inherit' });
const [entry, ...given] = commands[name];
// Paths among the arguments are meant from where the person stands, not from where npm went.
const cwd = name === 'demo' ? (process.env.INIT_CWD ?? process.cwd()) : projectDirectory;
runInPlace(nodeOrFail(), [resolve(projectDirectory, entry), ...given, ...args], { cwd });

/** True where node_modules holds every version of the lock file; npm keeps a lock file of its own in there for what it installed. */
function isInstalled() {
  try {
    const wanted = packagesIn('package-lock.json');
    const present = packagesIn('node_modules/.package-lock.json');
    return Object.entries(wanted).every(
      ([path, { version, link, optional, peer }]) =>
        !path.includes('node_modules/') || optional || peer || (link ? present[path]?.link === true : present[path]?.version === version),
    );
  } catch {
    return false;
  }
}

function packagesIn(file) {
  return JSON.parse(readFileSync(join(projectDirectory, file), 'utf8')).packages;
}

function install() {
  process.stderr.write('Installing dependencies (npm ci); a minute or two the first time…\n');
  runNpm(['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  // An npm that was told to ignore install scripts leaves the two packages that need theirs unfinished.
  if (findNode() === undefined) runNpm(['rebuild', '--ignore-scripts=false', '--foreground-scripts', 'node']);
  process.stderr.write('Installed.\n');
}

function runNpm(words) {
  const npm = process.env.npm_execpath === undefined ? ['npm'] : [process.execPath, process.env.npm_execpath];
  const [file, ...rest] = [...npm, ...words];
  const { status, stdout, stderr, error } = spawnSync(file, rest, { cwd: projectDirectory, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (status !== 0) fail(`npm ${words.join(' ')} failed:\n${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`);
}

function nodeOrFail() {
  return (
    findNode() ??
    fail(
      `Node ${leastMajor} is needed: the package "node" did not install it here, and this is ${process.version}. Install Node ${leastMajor} and try again.`,
    )
  );
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
