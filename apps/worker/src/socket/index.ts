/**
 * What an agent that is at work may ask of its worker, in any language: HTTP on a Unix socket of its own.
 *
 * room.ts          where sockets lie, and that none stays behind · agent-socket.ts  one that is served, within limits
 * questions.ts     what may be asked, and in which shape · session-ledger.ts  how it goes on to the control plane
 * model-relay.ts   calls of models
 */
export { type AgentSocket, type AgentWays, serveAgent } from './agent-socket.ts';
export { openSocketRoom, type SocketRoom } from './room.ts';
export { ModelRelay, type ModelRelayOptions } from './model-relay.ts';
export { SessionLedger, type SessionLedgerOptions } from './session-ledger.ts';
