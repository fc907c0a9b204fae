import { errorCatalogue } from '@hivekeeper/contract/error-codes';
import { HiveError } from '@hivekeeper/contract/hive-error';
import pc from 'picocolors';
import { describe, expect, it } from 'vitest';
import { asHiveError, exitCodeOf, failureDocument, failureText } from './failure.ts';
import { hive } from './testing.ts';

const plain = pc.createColors(false);
const issues = [
  { path: '/nodes/0', message: 'a cycle' },
  { path: '', message: 'too many' },
];

describe('an error', () => {
  it('is told as what happened, where, what to do, and what to type', () => {
    expect(failureText(new HiveError('WORKFLOW_INVALID', 'two faults', { issues }), plain)).toBe(`WORKFLOW_INVALID: two faults
  /nodes/0  a cycle
  (whole)  too many

${errorCatalogue.WORKFLOW_INVALID.remedy}
Next: hive workflows validate <file>`);
  });

  it('is with --json the API’s own body, and the next command', () => {
    expect(failureDocument(new HiveError('WORKFLOW_INVALID', 'two faults', { issues }))).toEqual({
      error: { code: 'WORKFLOW_INVALID', message: 'two faults', remedy: errorCatalogue.WORKFLOW_INVALID.remedy, issues },
      nextCommand: 'hive workflows validate <file>',
    });
  });

  it('about what is not there leads to the list of what is', () => {
    const next = (message: string) => failureDocument(new HiveError('NOT_FOUND', message)).nextCommand;
    expect(['agent a', 'workflow w version 3', 'approval apr_1', 'run run_1', 'x'].map((what) => next(`there is no ${what}`))).toEqual([
      'hive agents',
      'hive workflows list',
      'hive approvals',
      'hive runs',
      'hive runs',
    ]);
  });

  it('of ours shows where it came from', () => {
    expect(failureText(asHiveError(new TypeError('x is undefined')), plain)).toMatch(
      /^INTERNAL: x is undefined\nTypeError: x is undefined\n {4}at /,
    );
  });

  it.each(Object.entries(errorCatalogue))('%s ends hive with the exit status of the catalogue', (code, entry) => {
    expect([exitCodeOf(code), entry.exitCode > 0]).toEqual([entry.exitCode, true]);
  });

  it('that the catalogue does not know ends hive with 1', () => {
    expect(exitCodeOf('OTHER')).toBe(1);
  });
});

describe('a command line that is wrong', () => {
  it.each([
    [['rums'], "COMMAND_INVALID: unknown command 'rums' (Did you mean runs?)"],
    [['run', 'show'], "COMMAND_INVALID: missing required argument 'id'"],
    [['runs', '--colour'], "COMMAND_INVALID: unknown option '--colour'"],
    [
      ['runs', '--status', 'DONE'],
      "COMMAND_INVALID: option '--status <status>' argument 'DONE' is invalid. Allowed choices are PENDING, RUNNING",
    ],
    [['why', 'a', 'b'], "COMMAND_INVALID: too many arguments for 'why'"],
    [['run', 'w', '--input', 'novalue'], 'COMMAND_INVALID: --input novalue is neither name=value nor @file'],
  ])('%j ends with 2 and says what is wrong', async (args, message) => {
    const { exitCode, stdout, stderr } = await hive(args);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(message);
  });

  it('is one JSON document with --json', async () => {
    const { exitCode, stdout, stderr } = await hive(['rums', '--json']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'COMMAND_INVALID' }, nextCommand: 'hive --help' });
  });

  it.each(['up', 'worker', 'run start', 'workflows deploy'])('%s --help names the options that every command takes', async (words) => {
    const { exitCode, stdout } = await hive([...words.split(' '), '--help']);
    expect(exitCode).toBe(0);
    for (const option of ['--json', '--url <url>', '--token-file <path>', '--data <dir>']) expect(stdout).toContain(option);
  });

  it('without any word shows the help', async () => {
    const { exitCode, stdout } = await hive([]);
    expect([exitCode, stdout.includes('Usage: hive')]).toEqual([0, true]);
  });
});
