/*
 * Delivers one message.
 *
 * input.ts     what it takes · payload.ts  the message as each service wants it · endpoint.ts  which addresses may be called
 * delivery.ts  the delivery itself, one function per channel
 */
import { runAgent } from '@hivekeeper/sdk';
import { deliver } from './delivery.ts';
import { notificationSchema } from './input.ts';

await runAgent(notificationSchema, (notification) => deliver(notification, new Date().toISOString()));
