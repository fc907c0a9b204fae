import { describe, expect, it } from 'vitest';
import { type SessionEvent, type SessionState, advance } from './state.ts';

const outcome = { ok: true, output: 1 } as const;
const states: Readonly<Record<SessionState['phase'], SessionState>> = {
  accepted: { phase: 'accepted' },
  running: { phase: 'running' },
  reporting: { phase: 'reporting', outcome },
  done: { phase: 'done', outcome, receipt: 'accepted' },
  dropped: { phase: 'dropped', reason: 'fenced' },
};
const events: Readonly<Record<SessionEvent['type'], SessionEvent>> = {
  started: { type: 'started' },
  finished: { type: 'finished', outcome },
  reported: { type: 'reported', receipt: 'accepted' },
  dropped: { type: 'dropped', reason: 'revoked' },
};
const moves: Readonly<Record<string, SessionState>> = {
  'accepted started': states.running,
  'running finished': states.reporting,
  'reporting reported': states.done,
  'accepted dropped': { phase: 'dropped', reason: 'revoked' },
  'running dropped': { phase: 'dropped', reason: 'revoked' },
  'reporting dropped': { phase: 'dropped', reason: 'revoked' },
};

describe('the life of a ticket on a worker', () => {
  const table = Object.values(states).flatMap((state) => Object.values(events).map((event) => [state, event] as const));
  it.each(table)('in %o, %o leads where the table says, and elsewhere nowhere', (state, event) => {
    expect(advance(state, event)).toEqual(moves[`${state.phase} ${event.type}`] ?? state);
  });
});
