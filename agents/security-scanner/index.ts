import { runAgent } from '@hivekeeper/sdk';
import { scanInputSchema } from './input.ts';
import { scan } from './scan.ts';

await runAgent(scanInputSchema, scan);
