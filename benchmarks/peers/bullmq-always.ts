import { bullmqWith } from './bullmq.ts';

export const engine = bullmqWith('always');
