import type { RunView } from '@hivekeeper/contract';
import { type Board, type BoardEvent, type RunProgress, boardOf, boardText, eventLine, foldEvent } from './views/board.ts';
import type { Session } from './session.ts';

const redrawIntervalMs = 100;
const progressIntervalMs = 1_000;
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
  const { output } = session;
  const onEvent = (event: BoardEvent, id?: string) => {
    output.record({ ...(id !== undefined && { id }), ...event });
    // A ticket is issued the moment its node starts: one line says both.
    if (event.type !== 'ticket.issued') output.say(eventLine(event, output.colors));
  };
  await follow(session, runId, { ...options, onEvent });
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
    await follow(session, runId, { ...options, onEvent: (event) => (board = foldEvent(board, event)) });
    draw();
  } finally {
    timer.cancel();
    screen.done();
  }
}

/** Calls back with the run's events to its end and, between them, with what its agents say of their progress. */
async function follow(
  { client, terminal }: Session,
  runId: string,
  { onEvent, ...options }: WatchOptions & { readonly onEvent: (event: BoardEvent, id?: string) => void },
): Promise<void> {
  const told = new Map<string, string>();
  let isAsking = false;
  let hasEnded = false;
  const askProgress = async () => {
    if (isAsking) return;
    isAsking = true;
    // An answer that does not come costs a line of progress; the events below tell if the control plane is gone.
    const run = await client.run(runId).catch(() => undefined);
    if (hasEnded) return;
    for (const progress of run === undefined ? [] : freshProgress(run, told, terminal.clock.nowMs())) onEvent(progress);
    isAsking = false;
  };
  const timer = terminal.clock.every(progressIntervalMs, () => void askProgress());
  try {
    for await (const { id, event } of client.events(runId, options)) onEvent(event, id);
  } finally {
    timer.cancel();
    hasEnded = true;
  }
}

/** What running attempts say that was not told before; keeps in `told` what was. */
function freshProgress(run: RunView, told: Map<string, string>, nowMs: number): RunProgress[] {
  return run.nodes.flatMap(({ attempts }) =>
    attempts.flatMap(({ status, progress, ticketId, nodeId, slot, attempt }) => {
      const text = JSON.stringify(progress);
      if (status !== 'RUNNING' || progress === undefined || told.get(ticketId) === text) return [];
      told.set(ticketId, text);
      return [{ type: 'progress' as const, atMs: nowMs, nodeId, slot, attempt, progress }];
    }),
  );
}
