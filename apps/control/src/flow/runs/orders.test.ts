import { type EventId, type RunId, type WorkflowId, type WorkflowInput, workflowDefinitionSchema } from '@hivekeeper/contract';
import { FakeClock } from '@hivekeeper/testkit';
import { beforeEach, describe, expect, it } from 'vitest';
import { LaneUnderTest } from './lane-under-test.ts';

let scene: LaneUnderTest;
let runId: RunId;

const event = (number: number, key = 'k') => ({ id: `evt_${number}` as EventId, type: 'paid', key, payload: number, by: 'ann' });
const waits: WorkflowInput['nodes'] = [
  { id: 'first', wait: { event: 'paid', key: 'k' } },
  { id: 'second', wait: { event: 'paid', key: 'k' }, needs: ['first'] },
];

beforeEach(async () => {
  scene = new LaneUnderTest(new FakeClock());
  const definition = workflowDefinitionSchema.parse({ name: 'w', nodes: waits });
  const workflowId = 'wfl_waits' as WorkflowId;
  scene.database.definitions.set(workflowId, definition);
  runId = await scene.start(1, { workflowId, definition });
});

const offer = (slotAt: number, ...events: ReturnType<typeof event>[]) => scene.orders.offerEvents({ runId, slotAt, events });
const received = () => scene.database.eventsOf(runId).flatMap((each) => (each.type === 'signal.received' ? [each.signalId] : []));

describe('events that are offered to a slot', () => {
  it('give it the first that its run has not had, and no more', async () => {
    expect(await offer(0, event(1), event(2))).toBe(true);
    expect(received()).toEqual(['evt_1']);
    expect(await offer(1, event(1), event(2))).toBe(true);
    expect(received()).toEqual(['evt_1', 'evt_2']);
  });

  it('are not enough where the run has had them all', async () => {
    await offer(0, event(1));
    expect(await offer(1, event(1))).toBe(false);
  });

  it('are left alone where the slot waits no more, or for another key', async () => {
    await offer(0, event(1));
    expect(await offer(0, event(2))).toBe(true);
    expect(await offer(1, event(3, 'other'))).toBe(true);
    expect(received()).toEqual(['evt_1']);
  });

  it('come once, however many are brought at the same time', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, number) => offer(0, event(number))));
    expect(received()).toHaveLength(1);
  });
});
