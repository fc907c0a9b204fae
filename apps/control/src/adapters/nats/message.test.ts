import { expect, it } from 'vitest';
import { eventIn } from './message.ts';

const read = (body: unknown, more: object = {}) =>
  eventIn({ subject: 'graph.indexed.7', fallbackId: 'seq-1', bytes: Buffer.from(JSON.stringify(body)), ...more });

it('a flat body is the payload, and the subject its type', () => {
  expect(read({ project_id: 7, files: 3 })).toEqual({
    event: { type: 'graph.indexed.7', subject: 'graph.indexed.7', source: 'nats', payload: { project_id: 7, files: 3 }, eventId: 'seq-1' },
  });
});

it('what names a type and a payload is that event, as CommandCenter sends it', () => {
  expect(read({ type: 'graph.file.updated', payload: { path: '/a' }, source: 'hub' }, { messageId: 'm-1' })).toEqual({
    event: { type: 'graph.file.updated', subject: 'graph.indexed.7', source: 'hub', payload: { path: '/a' }, eventId: 'm-1' },
  });
});

it('a CloudEvent is what it says, and its id is that of its source', () => {
  expect(read({ specversion: '1.0', id: 'a', source: '/s', type: 'moved', data: 1 })).toMatchObject({
    event: { type: 'moved', source: '/s', payload: 1, eventId: '/s#a' },
  });
});

it.each([
  [Buffer.from('{"a":'), 'it is not JSON'],
  [Buffer.from([0xff]), 'it is not JSON'],
  [Buffer.from('{"a":"\\u0000"}'), '/a: '],
  [Buffer.from(JSON.stringify({ type: 'no type', payload: 1 })), '/type: '],
  [Buffer.alloc(300_000, ' '), 'it is larger'],
])('%s is no event, and it is told why', (bytes, reason) => {
  expect(eventIn({ subject: 'a', bytes })).toEqual({ fault: expect.stringContaining(reason) });
});
