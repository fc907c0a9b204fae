import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { surroundingsOf } from './surroundings.ts';

let top: string;
beforeEach(() => (top = realpathSync(mkdtempSync(join(tmpdir(), 'hive-surroundings-')))));
afterEach(() => rmSync(top, { recursive: true, force: true }));

const write = (path: string, content: object) => {
  mkdirSync(dirname(join(top, path)), { recursive: true });
  writeFileSync(join(top, path), JSON.stringify(content));
};
const link = (target: string, path: string) => {
  mkdirSync(join(top, target), { recursive: true });
  mkdirSync(dirname(join(top, path)), { recursive: true });
  symlinkSync(join(top, target), join(top, path));
};
const surroundings = (agent: string) =>
  surroundingsOf(join(top, agent))
    .filter((path) => path.startsWith(top))
    .map((path) => path.slice(top.length + 1))
    .sort();

describe('what an agent sees around it', () => {
  it('is every node_modules above it, and the package.json that decides its module type', () => {
    write('package.json', { type: 'module' });
    mkdirSync(join(top, 'node_modules'));
    mkdirSync(join(top, 'agents/one'), { recursive: true });
    expect(surroundings('agents/one')).toEqual(['node_modules', 'package.json']);
  });

  it('is the workspace packages it depends on, and theirs, but no others', () => {
    write('agents/one/package.json', { dependencies: { '@hive/sdk': '*', plain: '1.0.0' } });
    write('packages/sdk/package.json', { dependencies: { '@hive/contract': '*' } });
    link('packages/sdk', 'node_modules/@hive/sdk');
    link('packages/contract', 'node_modules/@hive/contract');
    link('apps/secret', 'node_modules/@hive/secret');
    mkdirSync(join(top, 'node_modules/plain'));
    expect(surroundings('agents/one')).toEqual(['node_modules', 'packages/contract', 'packages/sdk']);
  });

  it('holds the SDK also for an agent that declares nothing', () => {
    mkdirSync(join(top, 'agents/one'), { recursive: true });
    link('packages/sdk', 'node_modules/@hivekeeper/sdk');
    expect(surroundings('agents/one')).toEqual(['node_modules', 'packages/sdk']);
  });

  it('lacks what links in a circle or nowhere would add', () => {
    write('agents/one/package.json', { dependencies: { a: '*', gone: '*' } });
    write('packages/a/package.json', { dependencies: { b: '*' } });
    write('packages/b/package.json', { dependencies: { a: '*' } });
    link('packages/a', 'node_modules/a');
    link('packages/b', 'node_modules/b');
    symlinkSync(join(top, 'nowhere'), join(top, 'node_modules/gone'));
    expect(surroundings('agents/one')).toEqual(['node_modules', 'packages/a', 'packages/b']);
  });

  it('is no second time what lies in the agent’s own directory', () => {
    write('agents/one/package.json', {});
    mkdirSync(join(top, 'agents/one/node_modules'));
    expect(surroundings('agents/one')).toEqual([]);
  });
});
