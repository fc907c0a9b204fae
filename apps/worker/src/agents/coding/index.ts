/**
 * Runs commands that write code, each in a checkout of its own.
 *
 * execute.ts   checkout, command, difference · checkout.ts  the git commands, all of them in the sandbox
 * program.ts   which program it is · filled.ts, difference.ts  what it is told, and what its work comes to (pure)
 */
export { type CodingOptions, newCodingKind } from './execute.ts';
