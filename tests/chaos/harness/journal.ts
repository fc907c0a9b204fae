import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';

/**
 * What a client saw of one call. `unknown` may or may not have happened; only `ok` has to be there, and only `refused`
 * must not.
 */
export type Entry = { readonly outcome: 'ok' | 'refused' | 'unknown'; readonly code?: string } & (
  | { readonly call: 'start'; readonly key: string; readonly kind: string; readonly runId?: string }
  | { readonly call: 'cancel' | 'pause' | 'resume'; readonly runId: string }
  | { readonly call: 'retry'; readonly runId: string; readonly from: 'start' | 'failed'; readonly newRunId?: string }
  | { readonly call: 'decide'; readonly approvalId: string; readonly approved: boolean }
  | { readonly call: 'signal'; readonly runId: string; readonly signalId: string }
  | { readonly call: 'resolve'; readonly effectId: string; readonly happened: boolean }
);

/** The clients' own record: on disk before anybody acts on an answer. */
export class Journal implements Disposable {
  readonly #file: number;
  readonly #entries: Entry[] = [];

  constructor(path: string) {
    this.#file = openSync(path, 'a', 0o600);
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  write(entry: Entry): void {
    writeSync(this.#file, `${JSON.stringify(entry)}\n`);
    fdatasyncSync(this.#file);
    this.#entries.push(entry);
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}
