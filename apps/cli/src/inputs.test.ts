import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { contextOf, fieldOf, readWorkflow } from './inputs.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hive-inputs-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('an input name=value', () => {
  it.each([
    ['count=3', { count: 3 }],
    ['deep=true', { deep: true }],
    ['none=null', { none: null }],
    ['list=[1,"a"]', { list: [1, 'a'] }],
    ['text="3"', { text: '3' }],
    ['target=/repo', { target: '/repo' }],
    ['query=a=b', { query: 'a=b' }],
    ['empty=', { empty: '' }],
    ['broken={', { broken: '{' }],
  ])('%s gives JSON where it parses, else the text', (input, field) => {
    expect(fieldOf(input)).toEqual(field);
  });

  it.each(['name', '=value', ''])('"%s" is refused', (input) => {
    expect(() => fieldOf(input)).toThrow(expect.objectContaining({ code: 'COMMAND_INVALID' }));
  });
});

describe('inputs together', () => {
  it('add up in the order given, files and fields alike', async () => {
    await writeFile(join(directory, 'a.json'), '{"a":1,"b":1}');
    await writeFile(join(directory, 'b.yml'), 'b: 2\nc: 2\n');
    expect(await contextOf(['@a.json', 'c=1', '@b.yml', 'a=3'], directory)).toEqual({ a: 3, b: 2, c: 2 });
  });

  it('set a field that is called like a prototype as data', async () => {
    expect(Object.getPrototypeOf(await contextOf(['a=1'], directory))).toBe(Object.prototype);
    expect(JSON.stringify(await contextOf(['constructor=1'], directory))).toBe('{"constructor":1}');
  });

  it.each([
    ['a file that is no JSON', { 'x.json': '{' }],
    ['a file that is no YAML', { 'x.yaml': 'a: [' }],
    ['a file that holds no object', { 'x.json': '[1]' }],
  ])('refuse %s', async (_what, files) => {
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(directory, name), text);
      await expect(contextOf([`@${name}`], directory)).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    }
  });

  it('refuse a file that is not there', async () => {
    await expect(contextOf(['@none.json'], directory)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('a workflow', () => {
  it('may be the default export of a module', async () => {
    await writeFile(join(directory, 'w.mjs'), 'export default { name: "w", nodes: [] };');
    expect(await readWorkflow(join(directory, 'w.mjs'))).toEqual({ name: 'w', nodes: [] });
  });

  it('must be exported by its module', async () => {
    await writeFile(join(directory, 'w.mjs'), 'export const other = 1;');
    await expect(readWorkflow(join(directory, 'w.mjs'))).rejects.toMatchObject({ code: 'WORKFLOW_INVALID' });
  });
});
