/**
 * `npm test`: types, lint, boundaries, unused code, then every test. One line per stage, failures in full, the count last.
 * `npm test -- types unit` runs the named stages only; `npm test -- chaos` the long suites. Plain JavaScript without dependencies.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { projectDirectory } from './project-node.mjs';
import { isThere, tools } from './tools.mjs';

const stageLimitMs = 15 * 60_000;
const leftoverGraceMs = 5_000;
const marker = `HIVE_TEST_RUN=${process.pid}-${process.hrtime.bigint()}`;
const temporary = mkdtempSync(join(tmpdir(), 'hive-test-'));
const print = (text) => process.stdout.write(`${text}\n`);

const check =
  (script, ...args) =>
  async () => {
    const { status, text } = await run([join('node_modules', ...script), ...args]);
    return status === 0 ? passed(1) : { ...passed(0), failed: 1, report: text };
  };

/** Several checks that count as one; each is run, so that one red stage shows everything there is to mend. */
const all =
  (...checks) =>
  async () => {
    const results = [];
    for (const one of checks) results.push(await one());
    const failed = results.filter((result) => result.failed > 0);
    return failed.length === 0 ? passed(1) : { ...passed(0), failed: 1, report: failed.map(({ report }) => report).join('\n') };
  };

const suite = (project) => async () => {
  const file = join(temporary, `${project}.json`);
  const { status, text } = await run([
    'node_modules/vitest/vitest.mjs',
    'run',
    '--project',
    project,
    '--reporter=dot',
    '--reporter=json',
    `--outputFile.json=${file}`,
    ...tools.filter((tool) => !isThere(tool)).map((tool) => `--tagsFilter=!needs-${tool}`),
  ]);
  return countTests(file, { status, text });
};

const stages = {
  types: check(['typescript', 'bin', 'tsc'], '--noEmit', '-p', 'tsconfig.json'),
  lint: all(check(['eslint', 'bin', 'eslint.js'], '--max-warnings', '0', '.'), check(['prettier', 'bin', 'prettier.cjs'], '--check', '.')),
  boundaries,
  unused: check(['knip', 'bin', 'knip.js']),
  unit: suite('unit'),
  integration: suite('integration'),
  e2e: suite('e2e'),
  chaos: suite('chaos'),
};

// Chaos takes longer than anybody waits for: it runs where it is named.
const usualStages = Object.keys(stages).filter((name) => name !== 'chaos');

/** Each keeps one core busy and leaves nothing running: side by side they take as long as the longest of them. */
const checks = new Set(['types', 'lint', 'boundaries', 'unused']);

const groups = new Set();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => end(130));
process.exitCode = await main(process.argv.slice(2));
rmSync(temporary, { recursive: true, force: true });

async function main(names) {
  const unknown = names.filter((name) => !Object.hasOwn(stages, name));
  if (unknown.length > 0) {
    print(`no stage ${unknown.join(', ')}; there are ${Object.keys(stages).join(', ')}`);
    return 2;
  }
  spawnSync('sh', ['scripts/setup-system.sh'], { cwd: projectDirectory, stdio: 'inherit' });
  const total = passed(0);
  for (const batch of inBatches(names.length > 0 ? names : usualStages)) {
    const ended = await Promise.all(batch.map(timed));
    // What is left behind is told with the last of them.
    const left = await endLeftovers();
    // Numbers of groups that are gone are given to others.
    groups.clear();
    ended.push(withLeftovers(ended.pop(), left));
    for (const result of ended) {
      for (const count of ['passed', 'failed', 'skipped']) total[count] += result[count];
      print(`${result.failed === 0 ? 'ok  ' : 'FAIL'}  ${result.name.padEnd(12)} ${result.seconds.padStart(6)} s  ${countText(result)}`);
      if (result.report) print(`\n${result.report.trim()}\n`);
    }
  }
  const mayNotSkip = process.env.CI === 'true' && total.skipped > 0;
  if (mayNotSkip) print('\nWith CI=true every test must run: something it needs is missing.');
  print(`\n${countText(total)}`);
  return total.failed > 0 || mayNotSkip ? 1 : 0;
}

/** Checks that follow each other are one batch, every other stage is one of its own. */
function inBatches(names) {
  const batches = [];
  for (const name of names) {
    const last = batches.at(-1);
    if (checks.has(name) && last !== undefined && checks.has(last[0])) last.push(name);
    else batches.push([name]);
  }
  return batches;
}

async function timed(name) {
  const beganMs = performance.now();
  const result = await stages[name]();
  return { ...result, name, seconds: ((performance.now() - beganMs) / 1000).toFixed(1) };
}

function passed(count) {
  return { passed: count, failed: 0, skipped: 0, report: '' };
}

function countText(result) {
  return `${result.passed} passed, ${result.failed} failed, ${result.skipped} skipped`;
}

/** dependency-cruiser that finds no modules finds no violations either: that must not pass. */
async function boundaries() {
  const { text } = await run(
    [
      'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs',
      '--config',
      '.dependency-cruiser.cjs',
      '--output-type',
      'json',
      'apps',
      'packages',
      'agents',
    ],
    { isQuiet: true },
  );
  let summary;
  try {
    ({ summary } = JSON.parse(text));
  } catch {
    return { ...passed(0), failed: 1, report: text };
  }
  const faults = summary.violations.map(
    ({ rule, from, to, cycle }) => `${rule.name}: ${from} → ${cycle ? cycle.map((step) => step.name ?? step).join(' → ') : to}`,
  );
  if (summary.totalCruised === 0) faults.push('no module was looked at');
  return faults.length === 0 ? passed(1) : { ...passed(0), failed: 1, report: faults.join('\n') };
}

function countTests(file, { status, text }) {
  let results;
  try {
    results = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { ...passed(0), failed: 1, report: text };
  }
  const faults = results.testResults.flatMap(({ name, message, assertionResults }) => {
    const failed = assertionResults
      .filter((test) => test.status === 'failed')
      .map((test) => `✖ ${test.fullName}\n  ${name}\n${test.failureMessages.join('\n')}`);
    return failed.length > 0 || !message ? failed : [`✖ ${name}\n${message}`];
  });
  const brokenFiles = results.testResults.filter(
    (suiteResult) => suiteResult.status === 'failed' && suiteResult.assertionResults.every((test) => test.status !== 'failed'),
  ).length;
  const failed = results.numFailedTests + brokenFiles;
  // An error outside any test (an unhandled rejection) fails the run without failing a test.
  const isBrokenOutside = status !== 0 && failed === 0;
  return {
    passed: results.numPassedTests,
    failed: failed + (isBrokenOutside ? 1 : 0),
    skipped: results.numPendingTests + results.numTodoTests,
    report: [...faults, ...(isBrokenOutside ? [text] : [])].join('\n\n'),
  };
}

/** Runs a program with this Node in a process group of its own and gives its exit status and what it printed. */
function run(args, { isQuiet = false } = {}) {
  return new Promise((done) => {
    const [key, value] = marker.split('=');
    const env = { ...process.env, [key]: value, NO_COLOR: '1', FORCE_COLOR: undefined };
    const child = spawn(process.execPath, args, {
      cwd: projectDirectory,
      env,
      stdio: ['ignore', 'pipe', isQuiet ? 'ignore' : 'pipe'],
      detached: true,
    });
    groups.add(child.pid);
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr?.on('data', (chunk) => chunks.push(chunk));
    const limit = setTimeout(() => {
      chunks.push(Buffer.from(`\nended after ${stageLimitMs / 60_000} minutes\n`));
      for (const { pid } of ours()) killQuietly(pid);
    }, stageLimitMs);
    child.on('exit', (status) => {
      clearTimeout(limit);
      // What still holds the output open does not hold us; output that was written is read first.
      setImmediate(() => done({ status: status ?? 1, text: Buffer.concat(chunks).toString() }));
    });
  });
}

/** Ends what a stage left behind, after the time that a cascade of orderly ends may take; gives what had to be ended. */
async function endLeftovers() {
  for (const beganMs = performance.now(); performance.now() - beganMs < leftoverGraceMs && ours().length > 0;) await pause(100);
  const left = ours();
  for (const { pid } of left) killQuietly(pid);
  return left;
}

function withLeftovers(result, left) {
  return left.length === 0
    ? result
    : {
        ...result,
        failed: result.failed + 1,
        report: `${result.report}\nleft behind: ${left.map(({ pid, command }) => `${pid} ${command}`).join('\n             ')}`,
      };
}

/** Living processes of the stages (Linux): in their process groups, or with this run's mark in their environment. */
function ours() {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        // After the name, which may hold anything and ends at the last bracket: state, parent, group.
        const [state, , processGroup] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1).split(' ');
        const isOurs = groups.has(Number(processGroup)) || readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(marker);
        return isOurs && state !== 'Z'
          ? [{ pid: Number(pid), command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim().slice(0, 200) }]
          : [];
      } catch {
        return [];
      }
    });
}

function killQuietly(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function end(status) {
  for (const { pid } of ours()) killQuietly(pid);
  rmSync(temporary, { recursive: true, force: true });
  process.exit(status);
}
