import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HiveError } from '@hivekeeper/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Journal } from './journal.ts';

describe('the journal of an agent', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hive-journal-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('takes a task once, also when it is done and the process is another one', () => {
    {
      using journal = new Journal(directory);
      expect(journal.receive('a', '{}')).toBe(true);
      expect(journal.receive('a', '{}')).toBe(false);
      const task = journal.begin(0);
      journal.answer(task?.number ?? 0, '"hello"');
      journal.finish(task?.number ?? 0);
    }
    using journal = new Journal(directory);
    expect(journal.receive('a', '{}')).toBe(false);
    expect(journal.unfinished()).toBe(0);
  });

  it('gives tasks in the order they came, and says how often each was begun', () => {
    using journal = new Journal(directory);
    for (const key of ['a', 'b']) journal.receive(key, JSON.stringify(key));
    const first = journal.begin(0);
    expect(first).toMatchObject({ envelope: '"a"', beginnings: 1 });
    expect(journal.begin(first?.number ?? 0)).toMatchObject({ envelope: '"b"' });
    expect(journal.begin(0)).toMatchObject({ envelope: '"a"', beginnings: 2 });
  });

  it('keeps the first answer until it is sent, and does not begin its task again', () => {
    using journal = new Journal(directory);
    journal.receive('a', '{}');
    const { number = 0 } = journal.begin(0) ?? {};
    journal.answer(number, '"one"');
    journal.answer(number, '"other"');
    expect(journal.answered()).toEqual([{ number, answer: '"one"' }]);
    expect(journal.begin(0)).toBeUndefined();
    journal.finish(number);
    expect(journal.answered()).toEqual([]);
  });

  it('takes a task again that it handed back', () => {
    using journal = new Journal(directory);
    journal.receive('a', '{}');
    journal.forget(journal.begin(0)?.number ?? 0);
    expect(journal.receive('a', '{}')).toBe(true);
  });

  it('belongs to one process', () => {
    using journal = new Journal(directory);
    expect(journal.unfinished()).toBe(0);
    expect(() => new Journal(directory)).toThrow(HiveError);
    expect(() => new Journal(directory)).toThrow(/in use/);
  });

  it('remembers under which name the broker knows it, and counts its starts', () => {
    {
      using journal = new Journal(directory);
      expect(journal.start(() => 'one')).toEqual({ name: 'one', before: 0 });
    }
    using journal = new Journal(directory);
    expect(journal.start(() => 'other')).toEqual({ name: 'one', before: 1 });
  });
});
