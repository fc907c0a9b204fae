/*
 * Writes what triage found as a report for people.
 *
 * input.ts  what it takes · outline.ts  what the report says · markdown.ts, page.ts  how it looks, with markup.ts (escaping),
 * plain.ts (invisible characters) and style.css · write.ts  the files
 */
import { runAgent } from '@hivekeeper/sdk';
import { reportInputSchema } from './input.ts';
import { writeReport } from './write.ts';

await runAgent(reportInputSchema, (input) => writeReport(input, new Date().toISOString()));
