import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const fileIn = (executions: string): string => join(executions, 'payments');

/** Begins a file that any agent may add to, whoever runs it. */
export const openPayments = (executions: string): Promise<void> => writeFile(fileIn(executions), '', { mode: 0o666, flag: 'a' });

/** What was paid, in order: one key a payment. */
export async function readPayments(executions: string): Promise<readonly string[]> {
  return (await readFile(fileIn(executions), 'utf8')).split('\n').filter((line) => line !== '');
}
