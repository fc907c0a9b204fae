/*
 * Checks what a repository owes to others: licences, headers of its servers, secrets kept out of git.
 *
 * input.ts  what it takes · check.ts  the run and the answer · violation.ts  what rules see and give
 * licenses.ts  licence rules, from dependency.ts (what is installed or locked), production.ts (what of it ships) and
 * license-class.ts (what a licence asks) · security-headers.ts  from server-facts.ts (what a file's syntax says)
 * secrets.ts  files that hold secrets
 */
import { runAgent } from '@hivekeeper/sdk';
import { check } from './check.ts';
import { checkInputSchema } from './input.ts';

await runAgent(checkInputSchema, check);
