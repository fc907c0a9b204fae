import pc from 'picocolors';
import type { Screen, Terminal } from './terminal.ts';

/** Colours; each returns its text unchanged where there are none. */
export type Colors = ReturnType<typeof pc.createColors>;

/** How a command answers: readable text, or with `--json` one document (NDJSON where it streams). */
export interface Output {
  readonly isJson: boolean;
  /** True where a person watches: a terminal that can be redrawn. */
  readonly isLive: boolean;
  readonly colors: Colors;
  readonly widthColumns: number;
  /** Prints the document with `--json`, else the text, and a {@link hint} where there is one. */
  show(document: unknown, text: () => string, next?: string | undefined): void;
  /** A line for people; nothing with `--json`. */
  say(line?: string): void;
  /** What to type next, for people: beside the answer, so that what catches the answer does not catch it. Nothing with `--json`. */
  hint(next: string): void;
  /** One line of NDJSON; nothing without `--json`. */
  record(document: unknown): void;
}

/** Whether text for the screen may carry colours: on a terminal, unless NO_COLOR or a dumb terminal says otherwise. */
export const hasColors = ({ environment }: Terminal, screen: Screen): boolean =>
  screen.isTTY === true && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb';

/** The output on a terminal. */
export function outputOn(terminal: Terminal, { isJson }: { readonly isJson: boolean }): Output {
  const { stdout, stderr } = terminal;
  const { dim } = pc.createColors(hasColors(terminal, stderr));
  const hint = (next: string) => void (isJson || stderr.write(`\n${dim('Next:')} ${next}\n`));
  return {
    isJson,
    isLive: !isJson && stdout.isTTY === true && Boolean(stdout.columns) && terminal.environment['TERM'] !== 'dumb',
    colors: pc.createColors(!isJson && hasColors(terminal, stdout)),
    // Some terminals say 0, and mean that they do not know.
    widthColumns: stdout.columns || 120,
    show: (document, text, next) => {
      stdout.write(isJson ? `${JSON.stringify(document, undefined, 2)}\n` : `${text()}\n`);
      if (next !== undefined) hint(next);
    },
    hint,
    say: (line = '') => void (isJson || stdout.write(`${line}\n`)),
    record: (document) => void (isJson && stdout.write(`${JSON.stringify(document)}\n`)),
  };
}
