import { describe, expect, it } from 'vitest';
import { describeChange } from './describe.ts';
import { planEdit } from './edit.ts';
import { patchInputSchema } from './input.ts';

const plan = (input: object) => planEdit(patchInputSchema.parse(input));
const manifest =
  '{\n\t"name": "x",\n\t"dependencies": { "left-pad": "^1.0.0",   "other": "1" },\n\t"devDependencies": { "left-pad": "^1.0.0" }\n}';

describe('the new text', () => {
  it('changes a dependency in every section and no other byte', () => {
    const { file, edit } = plan({ operation: 'update-deps', changes: { oldValue: 'left-pad', version: '^1.3.0' } });
    expect(file).toBe('package.json');
    expect(edit(manifest)).toBe(manifest.replaceAll('^1.0.0', '^1.3.0'));
  });

  it('bumps a dependency for a security patch where a version is given, else replaces text', () => {
    expect(plan({ operation: 'security-patch', changes: { oldValue: 'other', version: '2' } }).edit(manifest)).toContain('"other": "2"');
    expect(
      plan({ operation: 'security-patch', file: 'a.js', changes: { oldValue: 'eval(', newValue: 'JSON.parse(' } }).edit('eval(x)'),
    ).toBe('JSON.parse(x)');
  });

  it('replaces every occurrence literally', () => {
    const { edit } = plan({ operation: 'simple-refactor', file: 'a.ts', changes: { oldValue: 'a.b', newValue: '$& $1' } });
    expect(edit('a.b aXb\r\na.b')).toBe('$& $1 aXb\r\n$& $1');
  });

  it('replaces, creates and deletes a configuration', () => {
    expect(plan({ operation: 'config-update', file: 'a.ini', changes: { oldValue: 'x=1', newValue: 'x=2' } }).edit('x=1')).toBe('x=2');
    expect(plan({ operation: 'config-update', file: 'a.ini', changes: { content: 'new' } }).edit(null)).toBe('new');
    expect(plan({ operation: 'config-update', file: 'a.ini', changes: { content: null } }).edit('x')).toBeNull();
  });

  it.each<[string, object, [string | null, RegExp]]>([
    ['no dependency named', { operation: 'update-deps' }, [manifest, /needs changes\.oldValue/]],
    ['no version', { changes: { oldValue: 'other' } }, [manifest, /needs changes\.version/]],
    ['a version that is none', { changes: { oldValue: 'other', version: 'git+ssh://evil' } }, [manifest, /not a semantic version range/]],
    ['a dependency that is not there', { changes: { oldValue: 'absent', version: '1' } }, [manifest, /not among the dependencies/]],
    [
      'a dependency called like a property of every object',
      { changes: { oldValue: 'constructor', version: '1' } },
      [manifest, /not among/],
    ],
    ['no package.json', { changes: { oldValue: 'other', version: '1' } }, [null, /does not exist/]],
    ['a package.json that is not JSON', { changes: { oldValue: 'other', version: '1' } }, ['{', /not JSON/]],
    ['no file to refactor', { operation: 'simple-refactor', changes: { oldValue: 'a', newValue: 'b' } }, ['a', /needs file/]],
    [
      'a text that does not occur',
      { operation: 'simple-refactor', file: 'a', changes: { oldValue: 'x', newValue: 'b' } },
      ['a', /does not occur/],
    ],
    ['deleting what is not there', { operation: 'config-update', file: 'a', changes: { content: null } }, [null, /does not exist/]],
    ['breaking JSON', { operation: 'config-update', file: 'a.json', changes: { content: '{,' } }, ['{}', /no longer be JSON/]],
    [
      'comments in plain JSON',
      { operation: 'config-update', file: 'a.json', changes: { content: '{} // x' } },
      ['{}', /no longer be JSON/],
    ],
  ])('is refused for %s', (_name, input, [text, reason]) => {
    expect(() => plan(input).edit(text)).toThrow(reason);
  });

  it('leaves comments in JSON that had them', () => {
    const { edit } = plan({ operation: 'config-update', file: 'tsconfig.json', changes: { oldValue: '1', newValue: '2' } });
    expect(edit('{ "a": 1 } // x')).toBe('{ "a": 2 } // x');
  });
});

describe('the description of a change', () => {
  it('counts added and removed lines and gives both diffs', () => {
    const described = describeChange('src/a.ts', 'one\ntwo\n', 'one\nTWO\nthree\n');
    expect(described?.change).toMatchObject({ file: 'src/a.ts', action: 'modified', linesChanged: 3 });
    expect(described?.change.diff).toBe('--- a/src/a.ts\n+++ b/src/a.ts\n@@ -1,2 +1,3 @@\n one\n-two\n+TWO\n+three\n');
    expect(described?.rollback).toContain('-TWO\n-three\n+two\n');
  });

  it('tells created from deleted', () => {
    expect(describeChange('a', null, 'x\n')?.change).toMatchObject({ action: 'created', linesChanged: 1 });
    expect(describeChange('a', 'x\n', null)?.change).toMatchObject({ action: 'deleted', linesChanged: 1 });
  });

  it('is nothing where nothing changes', () => {
    expect(describeChange('a', 'x', 'x')).toBeUndefined();
  });
});
