import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HiveError } from '@hivekeeper/contract';

/** A task that waits to be done. */
export interface WaitingTask {
  /** Grows with each task; never used again. */
  readonly number: number;
  readonly envelope: string;
  /** How often it was begun, this time included. */
  readonly beginnings: number;
}

/** A task whose answer is decided and perhaps not sent. */
export interface AnsweredTask {
  readonly number: number;
  /** As it was given to {@link Journal.answer}. */
  readonly answer: string;
}

// Ids that are remembered after their tasks are done. With 36 bytes each this is a file of some megabytes.
const rememberedTasks = 100_000;
// Of so many of them the answer, too.
const rememberedAnswers = 1_000;

/**
 * What an agent owes, on disk. A task is one of:
 *
 *   received   taken from the broker, not answered     → answered
 *   answered   its answer is decided, perhaps not sent → done
 *   done       its id is left, so that it is known when it comes again, and for a while its answer
 *
 * `receive`, `answer` and `start` return when the disk has it. The others outlive the process, not a power cut: then a task
 * is done again, or its answer sent again. The file belongs to one process at a time.
 */
export class Journal implements Disposable {
  readonly #database: DatabaseSync;
  readonly #statements;

  /** Opens the journal in a directory, which is made where there is none. @throws HiveError AGENT_STATE_IN_USE */
  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#database = new DatabaseSync(join(directory, 'tasks.db'));
    try {
      this.#database.exec(schema);
    } catch (cause) {
      this.#database.close();
      throw isBusy(cause) ? new HiveError('AGENT_STATE_IN_USE', `${directory} is in use by another process`, { cause }) : cause;
    }
    this.#statements = prepared(this.#database);
  }

  /** The name under which the broker knows this replica, made at the first start, and how many starts there were before. */
  start(newName: () => string): { readonly name: string; readonly before: number } {
    const known = this.#statements.startAgain.get() as { readonly name: string; readonly before: number } | undefined;
    if (known !== undefined) return known;
    const name = newName();
    this.#statements.startFirst.run(name);
    return { name, before: 0 };
  }

  /** False where the task was received before, whatever became of it. */
  receive(taskKey: string, envelope: string): boolean {
    return this.#statements.receive.run(taskKey, envelope).changes === 1;
  }

  /** Begins the first received task after the one of that number. */
  begin(afterNumber: number): WaitingTask | undefined {
    return this.#unsynced(() => this.#statements.begin.get(afterNumber) as WaitingTask | undefined);
  }

  /** Decides a task's answer. Once: the first one stays. */
  answer(number: number, answer: string): void {
    this.#statements.answer.run(answer, number);
  }

  /** The answer was sent, or the task given to somebody else: nothing is owed any more. */
  finish(number: number): void {
    this.#unsynced(() => {
      this.#statements.finish.run(number);
      this.#statements.forgetAnswer.run(number - rememberedAnswers);
    });
  }

  /** The task may come again, and would be done: it was handed back. */
  forget(number: number): void {
    this.#statements.forget.run(number);
  }

  /** What was answered to a task; absent where it was not, or long ago. */
  answerTo(taskKey: string): string | undefined {
    return (this.#statements.answerTo.get(taskKey) as { readonly answer: string | null } | undefined)?.answer ?? undefined;
  }

  answered(): AnsweredTask[] {
    return this.#statements.answered.all() as unknown as AnsweredTask[];
  }

  /** Tasks of which something is owed. */
  unfinished(): number {
    return (this.#statements.unfinished.get() as { readonly count: number }).count;
  }

  /** Forgets ids of tasks that were done long ago. */
  prune(): void {
    this.#statements.prune.run(rememberedTasks);
  }

  /** A commit without waiting for the disk, which takes most of the time that a task costs here. */
  #unsynced<Result>(write: () => Result): Result {
    this.#database.exec('PRAGMA synchronous = NORMAL');
    try {
      return write();
    } finally {
      this.#database.exec('PRAGMA synchronous = FULL');
    }
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

// EXCLUSIVE: a second process is refused rather than let in between. FULL: a commit is on disk when it returns.
const schema = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS replica (name text NOT NULL, starts integer NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS tasks (
    number integer PRIMARY KEY AUTOINCREMENT,
    task_key text NOT NULL UNIQUE,
    state text NOT NULL DEFAULT 'received' CHECK (state IN ('received', 'answered', 'done')),
    beginnings integer NOT NULL DEFAULT 0,
    -- Until it is answered.
    envelope text,
    answer text
  ) STRICT;
  CREATE INDEX IF NOT EXISTS tasks_owed ON tasks (state, number) WHERE state <> 'done';
`;

const prepared = (database: DatabaseSync) => ({
  startAgain: database.prepare('UPDATE replica SET starts = starts + 1 RETURNING name, starts - 1 AS before'),
  startFirst: database.prepare('INSERT INTO replica (name, starts) VALUES (?, 1)'),
  receive: database.prepare('INSERT INTO tasks (task_key, envelope) VALUES (?, ?) ON CONFLICT DO NOTHING'),
  begin: database.prepare(`
    UPDATE tasks SET beginnings = beginnings + 1
    WHERE number = (SELECT min(number) FROM tasks WHERE state = 'received' AND number > ?)
    RETURNING number, envelope, beginnings`),
  answer: database.prepare("UPDATE tasks SET state = 'answered', answer = ?, envelope = NULL WHERE number = ? AND state = 'received'"),
  finish: database.prepare("UPDATE tasks SET state = 'done' WHERE number = ?"),
  forgetAnswer: database.prepare("UPDATE tasks SET answer = NULL WHERE number = ? AND state = 'done'"),
  answerTo: database.prepare('SELECT answer FROM tasks WHERE task_key = ?'),
  forget: database.prepare("DELETE FROM tasks WHERE number = ? AND state = 'received'"),
  answered: database.prepare("SELECT number, answer FROM tasks WHERE state = 'answered' ORDER BY number"),
  unfinished: database.prepare("SELECT count(*) AS count FROM tasks WHERE state <> 'done'"),
  prune: database.prepare("DELETE FROM tasks WHERE state = 'done' AND number <= (SELECT max(number) FROM tasks) - ?"),
});

const busy = 5;
const isBusy = (error: unknown): boolean => error instanceof Error && 'errcode' in error && error.errcode === busy;
