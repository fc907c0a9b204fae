/**
 * Runs agents that are somewhere else, behind HTTP.
 *
 * call.ts  an attempt is sent, and ended · attempt-request.ts  what is sent, signed · answer.ts  what answers come to (pure)
 */
export { type HttpOptions, newHttpKind } from './call.ts';
