import { runAgent } from '@hivekeeper/sdk';
import { reviewInputSchema } from './input.ts';
import { review } from './review.ts';

await runAgent(reviewInputSchema, review);
