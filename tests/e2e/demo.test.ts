import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { allGone, descendants, killAll, temporaryDirectory } from '../stack/stack.ts';

const product = resolve(import.meta.dirname, '../..');
const planted = resolve(import.meta.dirname, 'fixtures/planted');

interface Finding {
  readonly rule?: string;
  readonly file: string;
  readonly line?: number;
}
interface Told {
  readonly type: string;
  readonly status: string;
  readonly findings: readonly Finding[];
  readonly reports: readonly string[];
}

interface Defect {
  readonly file: string;
  readonly line?: number;
  /** The scanner's own word for it is a type or a rule. */
  readonly type?: string;
  readonly rule?: string;
}
interface Planted {
  readonly defects: readonly Defect[];
  readonly cleanFiles: readonly string[];
}

const plantedOnes = async (): Promise<Planted> => JSON.parse(await readFile(join(planted, 'planted.json'), 'utf8')) as Planted;
const placeOf = ({ file, line }: Defect) => (line === undefined ? file : `${file}:${line}`);

const startDemo = (args: readonly string[]) =>
  spawn(process.execPath, [join(product, 'apps/cli/bin/hive.mjs'), 'demo', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });

async function demo(args: readonly string[]): Promise<{ readonly exitCode: number; readonly stdout: string; readonly stderr: string }> {
  const child = startDemo(args);
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'exit') as Promise<[number]>,
  ]);
  return { exitCode, stdout, stderr };
}

/** The last record of `--json`, which has the result. */
const toldBy = (stdout: string): Told => JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Told;

describe('hive demo', () => {
  test('reviews this repository, names its findings with their places and writes both reports', async () => {
    await using directory = await temporaryDirectory('demo');
    const { exitCode, stdout, stderr } = await demo(['--data', directory.path]);
    expect([exitCode, stderr]).toEqual([0, '']);
    for (const node of ['security', 'review', 'compliance', 'triage', 'report']) expect(stdout).toContain(node);
    expect(stdout).toMatch(/SUCCESS in [\d.]+ (ms|s)/);
    expect(stdout).toMatch(/report\s+\S+\.md/);
    expect(stdout).toMatch(/http:\/\/127\.0\.0\.1:\d+\/v1\/openapi\.json/);
  });

  test('finds the twelve planted defects and raises no alarm on the clean files', async () => {
    await using directory = await temporaryDirectory('planted');
    const { defects, cleanFiles } = await plantedOnes();
    expect(defects).toHaveLength(12);
    const { exitCode, stdout } = await demo([planted, '--data', directory.path, '--json']);
    expect(exitCode).toBe(0);
    const told = toldBy(stdout);
    expect(told).toMatchObject({ type: 'demo', status: 'SUCCESS' });
    const named = (list: readonly Defect[]) => list.map((one) => `${one.type ?? one.rule} ${placeOf(one)}`).sort();
    expect(named(told.findings)).toEqual(named(defects));
    expect(told.findings.filter(({ file }) => cleanFiles.includes(file))).toEqual([]);
    expect(told.reports).toHaveLength(2);
    for (const path of told.reports) expect((await stat(path)).size).toBeGreaterThan(500);
    const page = await readFile(
      told.reports.find((path) => path.endsWith('.html'))!,
      'utf8',
    );
    expect(page).not.toMatch(/(src|href)="(?!#)|@import|url\(/);
  });

  test('works again on the same data after a kill -9 in the middle, which leaves nothing alive', async () => {
    await using directory = await temporaryDirectory('killed');
    const first = startDemo([planted, '--data', directory.path]);
    for await (const chunk of first.stdout!) if (String(chunk).includes('Reviewing')) break;
    const below = await descendants(first.pid!);
    expect(below.length).toBeGreaterThanOrEqual(3);
    killAll([first.pid!]);
    await allGone([first.pid!, ...below]);
    const second = await demo([planted, '--data', directory.path]);
    expect([second.exitCode, second.stderr]).toEqual([0, '']);
    expect(second.stdout).toMatch(/^12 findings: 2 critical, 6 high, 4 medium$/m);
    for (const defect of (await plantedOnes()).defects) expect(second.stdout).toContain(placeOf(defect));
    expect(second.stdout).toMatch(/^SUCCESS in [\d.]+ (ms|s)$/m);
  });

  test('ends with 1 and the reason when the run fails', { tags: ['needs-bwrap'] }, async () => {
    await using directory = await temporaryDirectory('locked');
    const locked = join(directory.path, 'locked');
    await mkdir(locked);
    await chmod(locked, 0o000);
    const { exitCode, stdout } = await demo([locked, '--data', join(directory.path, 'data')]);
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^FAILED in .*\b[A-Z]+_[A-Z_]+\b/m);
    expect(stdout).not.toContain('findings');
  });

  test('says what is wrong with a path that is no directory', async () => {
    await using directory = await temporaryDirectory('absent');
    const { exitCode, stderr } = await demo([join(directory.path, 'nowhere'), '--data', directory.path]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('is not a directory');
  });
});
