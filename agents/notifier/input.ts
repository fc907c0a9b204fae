import { jsonObjectSchema } from '@hivekeeper/contract';
import { z } from 'zod';

const remoteChannels = ['slack', 'discord', 'webhook'];

/** One message and where it goes. A channel without its address is refused here, before anything is sent. */
export const notificationSchema = z
  .strictObject({
    channel: z.enum(['slack', 'discord', 'console', 'webhook', 'file']),
    message: z.string().min(1).max(20_000),
    severity: z.enum(['info', 'warning', 'error', 'critical']).default('info'),
    metadata: jsonObjectSchema.optional(),
    webhookUrl: z.string().max(4_096).optional(),
    path: z.string().min(1).max(4_096).optional(),
  })
  .refine(({ channel, webhookUrl }) => !remoteChannels.includes(channel) || webhookUrl !== undefined, {
    path: ['webhookUrl'],
    message: 'the channels slack, discord and webhook need a webhookUrl',
  })
  .refine(({ channel, path }) => channel !== 'file' || path !== undefined, { path: ['path'], message: 'the channel file needs a path' });

/** {@link notificationSchema}, with its defaults filled in. */
export type Notification = z.infer<typeof notificationSchema>;
