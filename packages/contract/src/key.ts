import { z } from 'zod';
import { nameSchema } from './ids.ts';

/** Whom a key is for; what each may do stands in docs/access.md. */
export const keyRoleSchema = z.enum(['viewer', 'operator', 'approver', 'admin', 'worker', 'agent', 'webhook']);
/** {@link keyRoleSchema} */
export type KeyRole = z.infer<typeof keyRoleSchema>;

const dayMs = 86_400_000;

/** `POST /v1/keys`: makes an API key under a name that no key has that still works. */
export const createKeySchema = z.strictObject({
  name: nameSchema,
  role: keyRoleSchema,
  expiresInMs: z
    .int()
    .min(1_000)
    .max(3_650 * dayMs)
    .optional()
    .describe('It works for so long; for ever where absent'),
});
/** {@link createKeySchema} */
export type CreateKey = z.infer<typeof createKeySchema>;

/** `POST /v1/keys/:id/rotate`: another key under the same name; the one before works for a while yet. */
export const rotateKeySchema = z.strictObject({
  overlapMs: z
    .int()
    .min(0)
    .max(30 * dayMs)
    .default(dayMs)
    .describe('How long the key before works yet'),
  expiresInMs: createKeySchema.shape.expiresInMs,
});
/** {@link rotateKeySchema} */
export type RotateKey = z.input<typeof rotateKeySchema>;

/** An API key as the API shows it: never itself. */
export const keyViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  role: keyRoleSchema,
  state: z
    .enum(['active', 'replaced', 'expired', 'revoked'])
    .describe('`replaced`: another one has its name, and it works for a while yet'),
  createdAtMs: z.int(),
  createdBy: z.string(),
  expiresAtMs: z.int().optional(),
  revokedAtMs: z.int().optional(),
  lastUsedAtMs: z.int().optional().describe('Within a minute'),
});
/** {@link keyViewSchema} */
export type KeyView = z.infer<typeof keyViewSchema>;

/** A key that was made: the only time that it can be read. */
export const madeKeySchema = keyViewSchema.extend({ key: z.string() });
/** {@link madeKeySchema} */
export type MadeKey = z.infer<typeof madeKeySchema>;
