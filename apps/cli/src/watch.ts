import type { RunView } from '@hivekeeper/contract';
import { type Board, boardOf, boardText, eventLine, foldEvent } from './views/board.ts';
import type { Session } from './session.ts';

const redrawIntervalMs = 100;
const maxRows = 30;

/** How a run is followed. */
export interface WatchOptions {
  readonly signal?: AbortSignal;
}

/** Follows a run to its end, drawing it: a live list on a terminal, a line per event elsewhere, NDJSON with `--json`. */
export async function watchRun(session: Session, runId: string, options: WatchOptions = {}): Promise<RunView> {
  if (session.output.isLive) await drawRun(session, runId, options);
  else await tellRun(session, runId, options);
  return session.client.run(runId);
}

async function tellRun(session: Session, runId: string, options: WatchOptions): Promise<void> {
  const { client, output } = session;
  for await (const { id, event } of client.events(runId, options)) {
    output.record({ ...(id !== undefined && { id }), ...event });
    // A ticket is issued the moment its node starts: one line says both.
    if (event.type !== 'ticket.issued') output.say(eventLine(event, output.colors));
  }
}

async function drawRun(session: Session, runId: string, options: WatchOptions): Promise<void> {
  const { client, output, terminal } = session;
  const { createLogUpdate } = await import('log-update');
  const screen = createLogUpdate(terminal.stdout as NodeJS.WriteStream);
  let board: Board = boardOf(await client.run(runId));
  const draw = () =>
    screen(
      boardText(board, {
        nowMs: terminal.clock.nowMs(),
        colors: output.colors,
        widthColumns: terminal.stdout.columns ?? output.widthColumns,
        maxRows,
      }),
    );
  const timer = terminal.clock.every(redrawIntervalMs, draw);
  try {
    for await (const { event } of client.events(runId, options)) board = foldEvent(board, event);
    draw();
  } finally {
    timer.cancel();
    screen.done();
  }
}
