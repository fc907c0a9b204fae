import { z } from 'zod';
import { jsonValueSchema } from './workflow.ts';

const text = z.string().min(1).max(1_000);

/** A CloudEvent 1.0 in JSON. Attributes that are not named here are extensions: they may be there, and are not kept. */
export const cloudEventSchema = z.looseObject({
  specversion: z.literal('1.0'),
  id: text,
  source: text,
  type: text,
  subject: text.optional(),
  time: z.iso.datetime({ offset: true }).optional(),
  /** The key of the event. */
  partitionkey: text.optional(),
  data: jsonValueSchema.optional(),
  data_base64: z.base64().optional(),
});
/** {@link cloudEventSchema} */
export type CloudEvent = z.infer<typeof cloudEventSchema>;
