/** The life of one ticket on this worker: state.ts says what may follow what, session.ts does it. */
export { type Session, type SessionParts, openSession } from './session.ts';
export { type DropReason, type SessionState, isOver } from './state.ts';
