import { describe, expect, it } from 'vitest';
import { outputOf, readDifference } from './difference.ts';
import { filled, refOf } from './filled.ts';

describe('a difference', () => {
  it('is files with their lines, and the patch as it was', () => {
    const stdout = Buffer.from('3\t1\tsrc/a\tb.ts\0-\t-\tlogo.png\0\0diff --git ü\n');
    const difference = readDifference(stdout);
    expect(difference).toEqual({
      files: [
        { path: 'src/a\tb.ts', insertions: 3, deletions: 1 },
        { path: 'logo.png', insertions: null, deletions: null },
      ],
      diff: 'diff --git ü\n',
    });
    expect(outputOf(difference!, { base: 'b', said: Buffer.from(`${'x'.repeat(20_000)}end`) })).toMatchObject({
      ...{ base: 'b', diff: 'diff --git ü\n', stat: { files: 2, insertions: 3, deletions: 1 } },
      said: expect.stringMatching(/^x{16381}end$/),
    });
  });

  it('of nothing is nothing', () => expect(readDifference(Buffer.from('\0'))).toEqual({ files: [], diff: '' }));
  it('that is not UTF-8 is none', () => expect(readDifference(Buffer.from([0, 0xff]))).toBeUndefined());
});

describe('a command', () => {
  const coding = { command: ['fix', '--', '{task}', '{n}', '{task} more'], repositoryField: 'repository', refField: 'ref' };

  it('has fields of the input for whole arguments, and reads the input', () => {
    expect(filled(coding, { task: 'mend $(it)', n: { a: 1 } })).toEqual({
      ...{ program: 'fix', args: ['--', 'mend $(it)', '{"a":1}', '{task} more'] },
      stdin: '{"task":"mend $(it)","n":{"a":1}}',
    });
    expect(filled({ ...coding, stdin: '{task}' }, { task: 'x', n: 1 }).stdin).toBe('x');
  });

  it.each([{}, { task: 'a\0b', n: 1 }, { n: 1 }])('is refused what %j lacks', (input) => {
    expect(() => filled(coding, input)).toThrow(expect.objectContaining({ code: 'AGENT_INPUT_SCHEMA' }));
  });

  it('begins where the input says, or at what is checked out', () => {
    expect([refOf(coding, {}), refOf(coding, { ref: null }), refOf(coding, { ref: 'v1' })]).toEqual(['HEAD', 'HEAD', 'v1']);
    for (const ref of ['', 'a b', 'a\nb', 7, ['x']]) expect(() => refOf(coding, { ref })).toThrow(/no name/);
  });
});
