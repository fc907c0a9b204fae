import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { agentManifestSchema } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import type { ReviewOutput } from './review.ts';

interface Planted {
  defects: { agent: string; rule: string; file: string; line: number }[];
  cleanFiles: string[];
}

const entry = fileURLToPath(new URL('index.ts', import.meta.url));
const target = fileURLToPath(new URL('../../tests/e2e/fixtures/planted', import.meta.url));
const { defects, cleanFiles } = JSON.parse(readFileSync(`${target}/planted.json`, 'utf8')) as Planted;
const planted = defects.filter(({ agent }) => agent === 'code-reviewer');

const run = (input: object): ReviewOutput =>
  JSON.parse(
    execFileSync(process.execPath, [entry, JSON.stringify(input)], { encoding: 'utf8', env: { ...process.env, AGENT_INPUT: '' } }),
  );
const placesOf = (issues: readonly { rule: string; file: string; line: number }[]) =>
  issues.map(({ rule, file, line }) => `${rule} ${file}:${line}`).sort();

describe('the code reviewer as a process', () => {
  it('finds every planted defect, and nothing in the clean files', () => {
    const { issues, summary, metrics, reviewDurationMs } = run({ target });
    expect(placesOf(issues)).toEqual(placesOf(planted));
    expect(issues.filter(({ file }) => cleanFiles.includes(file))).toEqual([]);
    expect(summary).toMatchObject({ total: 3, errors: 1, warnings: 2, info: 0 });
    expect(issues[0]).toMatchObject({ type: 'quality', severity: 'error', rule: 'complexity' });
    expect(metrics.maxComplexity).toBe(26);
    expect(metrics.avgComplexity).toBeGreaterThan(1);
    expect(metrics.totalLines).toBeGreaterThan(150);
    expect(reviewDurationMs).toBeGreaterThanOrEqual(0);
  });

  it('reports on the files that the pattern names, and on one type where one is asked for', () => {
    const store = run({ repositoryPath: target, filePattern: 'store.*' });
    expect(placesOf(store.issues)).toEqual(['empty-catch src/store.js:7']);
    expect(store.summary.filesReviewed).toBe(1);
    expect(run({ target, filePattern: 'src/*.js', type: 'performance' })).toMatchObject({
      issues: [],
      summary: { total: 0, filesReviewed: 8 },
    });
  });

  it.each([
    ['no target', '{}', 'target'],
    ['an unknown type', `{"target":"${target}","type":"luck"}`, 'type'],
    ['a path that is not there', '{"target":"/no/such/place"}', '/no/such/place'],
  ])('answers %s with an error and exit 1', (_, input, message) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [entry], {
      encoding: 'utf8',
      input,
      env: { ...process.env, AGENT_INPUT: '' },
    });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(JSON.parse(stderr).error).toContain(message);
  });
});

it('has a manifest that the platform accepts', () => {
  const manifest = agentManifestSchema.parse(JSON.parse(readFileSync(new URL('agent.json', import.meta.url), 'utf8')));
  expect(manifest).toMatchObject({ name: 'code-reviewer', runtime: 'node', network: false, capabilities: [{ name: 'review' }] });
});
