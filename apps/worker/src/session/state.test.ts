import { describe, expect, it } from 'vitest';
import { type SessionEvent, type SessionState, advance } from './state.ts';

const outcome = { ok: true, output: 1 } as const;
const suspension = { kind: 'timer', step: 's', forMs: 1 } as const;
const states: Readonly<Record<SessionState['phase'], SessionState>> = {
  accepted: { phase: 'accepted' },
  running: { phase: 'running' },
  suspending: { phase: 'suspending', suspension },
  reporting: { phase: 'reporting', report: { outcome } },
  done: { phase: 'done', report: { outcome }, receipt: 'accepted' },
  dropped: { phase: 'dropped', reason: 'fenced' },
};
const events: Readonly<Record<SessionEvent['type'], SessionEvent>> = {
  started: { type: 'started' },
  suspended: { type: 'suspended', suspension },
  finished: { type: 'finished', outcome },
  ended: { type: 'ended' },
  reported: { type: 'reported', receipt: 'accepted' },
  dropped: { type: 'dropped', reason: 'revoked' },
};
const moves: Readonly<Record<string, SessionState>> = {
  'accepted started': states.running,
  'running suspended': states.suspending,
  'running finished': states.reporting,
  'suspending finished': { phase: 'reporting', report: { suspension } },
  'suspending ended': { phase: 'reporting', report: { suspension } },
  'reporting reported': states.done,
  'accepted dropped': { phase: 'dropped', reason: 'revoked' },
  'suspending dropped': { phase: 'dropped', reason: 'revoked' },
  'running dropped': { phase: 'dropped', reason: 'revoked' },
  'reporting dropped': { phase: 'dropped', reason: 'revoked' },
};

describe('the life of a ticket on a worker', () => {
  const table = Object.values(states).flatMap((state) => Object.values(events).map((event) => [state, event] as const));
  it.each(table)('in %o, %o leads where the table says, and elsewhere nowhere', (state, event) => {
    expect(advance(state, event)).toEqual(moves[`${state.phase} ${event.type}`] ?? state);
  });
});
