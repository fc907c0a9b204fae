/** The life of one ticket on this worker: state.ts says what may follow what, session.ts does it. */
export { type OpenSocket, type Session, type SessionParts, type SocketHooks, openSession } from './session.ts';
export { type DropReason, type SessionState, isOver } from './state.ts';
