/** A path of the host that the command sees under the same name. Canonical: whoever grants it has resolved its symbolic links. */
export interface VisiblePath {
  readonly path: string;
  readonly access: 'read' | 'write';
  /** An empty directory made for this command: whoever the command runs as is to own it. */
  readonly isNew?: boolean;
  /** Nobody but the command may enter it. */
  readonly isPrivate?: boolean;
}

/** What one command may use up. */
export interface CommandLimits {
  readonly memoryBytes: number;
  readonly cpuCores: number;
  readonly maxProcesses: number;
  /** Of stdout; stderr may be of any length, its end is kept. */
  readonly outputBytes: number;
  readonly wallTimeMs: number;
  /** Between SIGTERM and SIGKILL. */
  readonly graceMs: number;
}

/** One command, and all it is given. */
export interface Command {
  /** Absolute path of the program. */
  readonly file: string;
  readonly args: readonly string[];
  /** The whole environment: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  readonly stdin: string;
  readonly visiblePaths: readonly VisiblePath[];
  /** Directories inside of visible ones that the command finds empty. Canonical, and there. */
  readonly hiddenPaths: readonly string[];
  readonly network: boolean;
  readonly limits: CommandLimits;
}

/** How a command ended. `not-started`: nothing of it ran. */
export type CommandEnd =
  | { readonly kind: 'exited'; readonly exitCode: number }
  | { readonly kind: 'signalled'; readonly signal: string }
  | { readonly kind: 'timed-out' }
  | { readonly kind: 'out-of-memory' }
  | { readonly kind: 'output-too-large' }
  | { readonly kind: 'aborted' }
  | { readonly kind: 'not-started'; readonly reason: string };

/** How a command ended and what it left: stdout up to its limit, the last 4 KB of stderr. */
export type CommandResult = CommandEnd & { readonly stdout: Buffer; readonly stderrTail: string };

/** What the caller may do and hear while a command runs. */
export interface CommandHooks {
  /** Ends the command: SIGTERM, then SIGKILL after `limits.graceMs`. */
  readonly signal: AbortSignal;
  /** Each line of stderr as it comes, cut at 16 KB. */
  readonly onStderrLine?: (line: string) => void;
}

/** Runs commands. When `run` resolves nothing of the command is alive (see each runner for what it can promise). */
export interface Runner {
  readonly confines: boolean;
  run(command: Command, hooks: CommandHooks): Promise<CommandResult>;
}
