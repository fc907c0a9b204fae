import { defaultTenantId, type EventId, HiveError, type RunId } from '@hivekeeper/contract';
import { newLog } from '@hivekeeper/kernel';
import { beforeEach, describe, expect, it } from 'vitest';
import type { EventOffer, RunOrders } from '../../runs/index.ts';
import type { StoredWorkflow } from '../../../records/registry/index.ts';
import type { EventStore, EventWait, StoredEvent } from './event-store.ts';
import type { EventStarts } from './starts.ts';
import { Events } from './events.ts';

const wait: EventWait = { runId: 'run_1' as RunId, slotAt: 3 };
const stored = (number: number): StoredEvent => ({
  id: `evt_${number}` as EventId,
  tenantId: defaultTenantId,
  type: 'paid',
  key: 'k',
  payload: number,
  receivedAtMs: number,
  publishedBy: 'ann',
});

/** What there is for the wait, and what its run has had. */
let published: StoredEvent[];
let had: Set<string>;
let offers: EventOffer[];
let reads: number;
let fault: HiveError | undefined;
/** The ids of events that start no run now. */
let hopeless: Set<string>;
/** Workflows whose triggers mean every event, the events whose runs were started, and those marked so. */
let meant: StoredWorkflow[];
let started: string[];
let marked: string[];
let isReplay: boolean;
let events: Events;

beforeEach(() => {
  [published, had, offers, reads, fault, hopeless] = [[], new Set(), [], 0, undefined, new Set()];
  [meant, started, marked, isReplay] = [[], [], [], false];
  const store = {
    add: async ({ by, dedupe: _, ...event }) => ({ event: { ...event, publishedBy: by, receivedAtMs: 0 }, isReplay }),
    started: async (id) => void marked.push(id),
    toStart: async (after, most) => published.filter(({ id }) => !marked.includes(id) && id > (after ?? '')).slice(0, most),
    waitsFor: async () => [wait],
    eventsFor: async (_wait, { skipped, most }) => {
      reads += 1;
      return published.slice(skipped, skipped + most);
    },
    waitsWithEvents: async () => {
      const newest = published.at(-1);
      return newest === undefined ? [] : [{ ...wait, newestEventId: newest.id }];
    },
  } as Partial<EventStore> as EventStore;
  const orders = {
    offerEvents: async (offer: EventOffer) => {
      offers.push(offer);
      if (fault !== undefined) throw fault;
      const next = offer.events.find(({ id }) => !had.has(id));
      if (next !== undefined) had.add(next.id);
      return next !== undefined;
    },
  } as Partial<RunOrders> as RunOrders;
  const starts = {
    meant: async () => meant,
    start: async ({ id }: StoredEvent) => {
      if (fault !== undefined || hopeless.has(id)) throw fault ?? new HiveError('DATABASE_UNAVAILABLE');
      started.push(id);
    },
  } as Partial<EventStarts> as EventStarts;
  const log = newLog({ level: 'silent', component: 'test' });
  events = new Events({ store, orders, starts, newId: () => 'evt_new' as EventId, log });
});

const publish = () => events.publish({ tenantId: defaultTenantId, type: 'paid', key: 'k', payload: 1, by: 'ann' });

describe('an event', () => {
  it('is offered to who waits for it, and its publisher need not wait for that', async () => {
    expect(await publish()).toMatchObject({ id: 'evt_new', waitingRunCount: 1, isReplay: false });
    await events[Symbol.asyncDispose]();
    expect(offers).toEqual([{ ...wait, events: [{ id: 'evt_new', type: 'paid', key: 'k', payload: 1, by: 'ann' }] }]);
  });

  it('is stored, also where it cannot be brought to who waits: the sweep does it', async () => {
    fault = new HiveError('DATABASE_UNAVAILABLE');
    await publish();
    await events[Symbol.asyncDispose]();
    expect(had.size).toBe(0);
    fault = undefined;
    published = [stored(1)];
    await events.sweep();
    expect([...had]).toEqual(['evt_1']);
  });
});

describe('an event that starts runs', () => {
  beforeEach(() => {
    meant = [{ name: 'indexer' } as StoredWorkflow];
  });

  it('says which workflows it starts, and is marked once their runs are stored', async () => {
    expect(await publish()).toMatchObject({ startedWorkflows: ['indexer'] });
    await events[Symbol.asyncDispose]();
    expect([started, marked]).toEqual([['evt_new'], ['evt_new']]);
  });

  it('starts nothing when it is published again, however late', async () => {
    isReplay = true;
    expect(await publish()).toMatchObject({ isReplay: true, startedWorkflows: ['indexer'] });
    await events[Symbol.asyncDispose]();
    expect([started, marked]).toEqual([[], []]);
  });

  it('is found by the sweep where its runs could not be stored, until they are', async () => {
    fault = new HiveError('DATABASE_UNAVAILABLE');
    await publish();
    await events[Symbol.asyncDispose]();
    expect([started, marked]).toEqual([[], []]);
    published = [stored(1)];
    fault = undefined;
    await events.sweep();
    await events.sweep();
    expect([started, marked]).toEqual([['evt_1'], ['evt_1']]);
  });

  it('is started though a hundred older ones cannot be', async () => {
    published = Array.from({ length: 101 }, (_, number) => stored(1_000 + number));
    for (const { id } of published.slice(0, 100)) hopeless.add(id);
    await events.sweep();
    expect(started).toEqual(['evt_1100']);
  });
});

describe('a wait', () => {
  it('is given the first event that its run has not had, however many it had', async () => {
    published = Array.from({ length: 250 }, (_, number) => stored(number));
    for (const { id } of published.slice(0, 230)) had.add(id);
    events.notice(wait.runId, [{ slotAt: wait.slotAt, name: 'paid', key: 'k' }]);
    await events[Symbol.asyncDispose]();
    expect(had.has('evt_230')).toBe(true);
    expect(had.size).toBe(231);
  });

  it('is not looked after again and again where its run has had all there is, but is when a new one comes', async () => {
    published = [stored(1)];
    had.add('evt_1');
    for (let round = 0; round < 3; round += 1) await events.sweep();
    expect(reads).toBe(1);
    published.push(stored(2));
    await events.sweep();
    expect(had.has('evt_2')).toBe(true);
  });
});
