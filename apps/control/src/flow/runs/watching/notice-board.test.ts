import { HiveError, type JsonValue, type RunEvent, type RunId, type TicketId, ticketIdOf } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { FakeClock } from '@hivekeeper/testkit';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { TicketStore } from '../../tickets/index.ts';
import { LaneUnderTest } from '../lane-under-test.ts';
import { LiveRuns } from '../live-runs.ts';
import type { RunStore } from '../run-store.ts';
import { NoticeBoard } from './notice-board.ts';
import { isAfter, type NumberedNotice, replay, type RunNews } from './notices.ts';

const log = newLog({ level: 'silent', component: 'test' });
const nodeCount = 6;

/** Holds answers back, until it is opened. */
class Gate {
  #waiting: (() => void)[] | undefined;

  hold(): void {
    this.#waiting ??= [];
  }

  open(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const pass of waiting) pass();
  }

  passed(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting === undefined) resolve();
      else this.#waiting.push(resolve);
    });
  }
}

/** A run of some nodes one after the other, and a board that may hear of its commits. */
class Watching {
  readonly clock = new FakeClock();
  readonly world = new LaneUnderTest(this.clock);
  readonly asked: RunId[] = [];
  readonly told: RunId[] = [];
  progress: { readonly ticketId: TicketId; readonly progress: JsonValue }[] = [];
  fault: Error | undefined;
  readCount = 0;
  /** What a watcher's first read of a run waits for, and what the board's reads do, each after it has its rows. */
  readonly gates = { load: new Gate(), read: new Gate() };
  runId = '' as RunId;
  readonly #live = new LiveRuns(this.world.database.runStore, () => null, 10);
  readonly board: NoticeBoard;

  constructor() {
    const { runStore, ticketStore } = this.world.database;
    const waiting = async <T>(gate: Gate, read: Promise<T>): Promise<T> => {
      this.readCount += 1;
      if (this.fault !== undefined) throw this.fault;
      const rows = await read;
      await gate.passed();
      return rows;
    };
    const store: RunStore = {
      ...runStore,
      load: (runId) => waiting(this.gates.load, runStore.load(runId)),
      commitsAfter: (runs) => waiting(this.gates.read, runStore.commitsAfter(runs)),
    };
    const tickets: TicketStore = { ...ticketStore, progressOf: async () => this.progress };
    const peers = {
      announce: (runIds: Iterable<RunId>) => void this.asked.push(...runIds),
      tell: (runId: RunId) => void this.told.push(runId),
    };
    this.board = new NoticeBoard({ store, tickets, runs: this.#live, peers, clock: this.clock, log });
  }

  async begin(): Promise<this> {
    this.runId = await this.world.start(nodeCount);
    return this;
  }

  /** Commits the next node's result; gives what {@link NoticeBoard.post} takes where it is this control plane's commit. */
  commit(): Parameters<NoticeBoard['post']> {
    const { database } = this.world;
    const before = this.#run();
    const event: RunEvent = {
      type: 'ticket.settled',
      atMs: this.clock.nowMs(),
      ticketId: ticketIdOf(this.runId, before.version - 1),
      outcome: { ok: true, output: null },
    };
    database.moveOn(this.runId, event);
    const { run, notices } = replay(before, [[event]]);
    return [run, notices.map(({ notice }) => notice)];
  }

  /** What a watcher who misses nothing is told. */
  get all(): NumberedNotice[] {
    const stored = this.world.database.runs.get(this.runId);
    return stored === undefined ? [] : replay(this.#live.begin(stored), stored.commits).notices;
  }

  async watch(lastId?: string): Promise<{ readonly news: RunNews[]; readonly stop: () => void }> {
    const news: RunNews[] = [];
    return { news, stop: await this.board.watch({ runId: this.runId, lastId, onNews: (told) => void news.push(...told) }) };
  }

  #run() {
    const stored = this.world.database.runs.get(this.runId);
    if (stored === undefined) throw new HiveError('NOT_FOUND');
    return this.#live.fold(stored);
  }
}

let scene: Watching;
beforeEach(async () => {
  scene = await new Watching().begin();
});
const settled = () => scene.clock.advance(0);

describe('a watcher', () => {
  it('is told what was and what comes, whether committed here or elsewhere', async () => {
    const { news } = await scene.watch();
    expect(news).toEqual(scene.all);
    scene.board.post(...scene.commit());
    expect(news).toEqual(scene.all);
    scene.commit();
    scene.board.moved(scene.runId);
    await settled();
    expect(news).toEqual(scene.all);
    scene.commit();
    scene.board.post(...scene.commit());
    await settled();
    expect(news).toEqual(scene.all);
    expect(news).toHaveLength(3 + 4 * 3);
  });

  it('misses nothing that is committed while it begins to watch', async () => {
    scene.gates.load.hold();
    const early = scene.watch();
    await settled();
    scene.board.post(...scene.commit());
    await settled();
    const late = scene.watch();
    await settled();
    scene.commit();
    scene.board.post(...scene.commit());
    await settled();
    scene.gates.load.open();
    const watchers = await Promise.all([early, late]);
    await settled();
    for (const { news } of watchers) expect(news).toEqual(scene.all);
  });

  it('is told once what is read from the journal while the answer to its commit is on its way', async () => {
    const { news } = await scene.watch();
    await settled();
    scene.gates.read.hold();
    const commit = scene.commit();
    scene.board.round();
    await settled();
    scene.board.post(...commit);
    scene.gates.read.open();
    await settled();
    scene.board.post(...scene.commit());
    expect(news).toEqual(scene.all);
  });

  it('that comes back is told what came after the event it saw last', async () => {
    scene.commit();
    const ids = scene.all.map(({ id }) => id);
    for (const [index, id] of ids.entries()) expect((await scene.watch(id)).news.map((told) => told.id)).toEqual(ids.slice(index + 1));
  });

  it('finds in the next round what no message told of, also after a read that failed', async () => {
    const { news } = await scene.watch();
    await settled();
    scene.commit();
    scene.fault = new HiveError('DATABASE_UNAVAILABLE');
    scene.board.round();
    await settled();
    expect(news).not.toEqual(scene.all);
    scene.fault = undefined;
    scene.board.round();
    await settled();
    expect(news).toEqual(scene.all);
  });

  it('of a run that is not there is told so, and leaves nothing behind', async () => {
    scene.runId = 'run_x' as RunId;
    await expect(scene.watch()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    scene.asked.length = 0;
    scene.board.round();
    expect(scene.asked).toEqual([]);
  });

  it('that throws does not keep the others from hearing', async () => {
    await scene.board.watch({
      runId: scene.runId,
      lastId: '1.2',
      onNews: (news) => {
        if (news.length > 0) throw new TypeError('a broken watcher');
      },
    });
    const { news } = await scene.watch();
    scene.board.post(...scene.commit());
    expect(news).toEqual(scene.all);
  });

  it('hears every notice once and in order over any mixture of commits, messages, losses and delays', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...steps), { maxLength: 40 }), async (taken) => {
        scene = await new Watching().begin();
        const history: History = { unanswered: [], joined: [{ lastId: '0.0', watching: scene.watch() }] };
        for (const step of taken) await step(history);
        scene.gates.load.open();
        scene.gates.read.open();
        await Promise.all(history.joined.map(({ watching }) => watching));
        await settled();
        scene.board.round();
        await settled();
        for (const { lastId, watching } of history.joined)
          expect((await watching).news).toEqual(scene.all.filter(({ id }) => isAfter(id, lastId)));
      }),
      { numRuns: 500 },
    );
  });
});

interface History {
  /** Commits of this control plane whose answer is on its way: it may come after others have read what they stored, or never. */
  readonly unanswered: Parameters<NoticeBoard['post']>[];
  readonly joined: { readonly lastId: string; readonly watching: ReturnType<Watching['watch']> }[];
}

const isOver = () => scene.all.some(({ notice }) => notice.type === 'run.finished');
const steps: readonly ((history: History) => unknown)[] = [
  () => isOver() || scene.board.post(...scene.commit()),
  ({ unanswered }) => isOver() || unanswered.push(scene.commit()),
  ({ unanswered }) => unanswered.splice(0).forEach((commit) => scene.board.post(...commit)),
  () => isOver() || (scene.commit(), scene.board.moved(scene.runId)),
  () => isOver() || scene.commit(),
  () => scene.board.moved(scene.runId),
  () => scene.board.round(),
  settled,
  ({ joined }) => {
    const lastId = scene.all[(joined.length * 4) % scene.all.length]?.id ?? '0.0';
    joined.push({ lastId, watching: scene.watch(lastId) });
  },
  ...(['load', 'read'] as const).flatMap((gate) => [() => scene.gates[gate].hold(), () => scene.gates[gate].open()]),
];

describe('progress', () => {
  const say = (ordinal: number, progress: JsonValue) => {
    scene.progress = [{ ticketId: ticketIdOf(scene.runId, ordinal), progress }];
    scene.board.progressed(scene.runId);
    return settled();
  };
  const saidIn = (news: readonly RunNews[]) =>
    news.flatMap(({ notice }) => (notice.type === 'attempt.progressed' ? [[notice.nodeId, notice.progress]] : []));

  it('of a running attempt is told when it changes, and to each who begins to watch', async () => {
    const first = await scene.watch();
    await say(0, { done: 1 });
    await say(0, { done: 1 });
    await say(0, { done: 2 });
    expect(saidIn(first.news)).toEqual([
      ['n0', { done: 1 }],
      ['n0', { done: 2 }],
    ]);
    expect(saidIn((await scene.watch('1.2')).news)).toEqual([['n0', { done: 2 }]]);
  });

  it('of an attempt that ended, or is not known yet, is not told', async () => {
    const { news } = await scene.watch();
    await say(1, 'too early');
    scene.commit();
    await say(0, 'too late');
    expect(saidIn(news)).toEqual([]);
    await say(1, 'in time');
    expect(saidIn(news)).toEqual([['n1', 'in time']]);
    expect(news.at(-1)?.id).toBeUndefined();
  });

  it('of a run that nobody watches is not read', async () => {
    const { stop } = await scene.watch();
    await settled();
    stop();
    scene.readCount = 0;
    await say(0, 1);
    expect(scene.readCount).toBe(0);
  });
});

describe('other control planes', () => {
  it('hear which runs are watched here, at once and in each round, until the last watcher leaves', async () => {
    const [first, second] = [await scene.watch(), await scene.watch()];
    expect(scene.asked).toEqual([scene.runId]);
    first.stop();
    scene.board.round();
    expect(scene.asked).toEqual([scene.runId, scene.runId]);
    second.stop();
    second.stop();
    scene.board.round();
    expect(scene.asked).toHaveLength(2);
  });

  it('hear of each commit of this one, and of progress', () => {
    scene.board.post(...scene.commit());
    scene.board.progressed(scene.runId);
    expect(scene.told).toEqual([scene.runId, scene.runId]);
    expect(scene.readCount).toBe(0);
  });
});
