import type { Clock } from '@hivekeeper/kernel/clock';

/** A stream the CLI writes to. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** The world around a command; `main.ts` passes the process's, tests pass their own. */
export interface Terminal {
  readonly stdout: Screen;
  readonly stderr: Screen;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  readonly clock: Clock;
  /** Asks a person yes or no; absent where nobody is there to answer. */
  readonly ask?: (question: string) => Promise<boolean>;
}
