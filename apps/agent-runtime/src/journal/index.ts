/** What an agent owes, kept on disk (journal.ts). */
export { Journal, type WaitingTask } from './journal.ts';
