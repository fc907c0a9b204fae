import { createHash } from 'node:crypto';
import { HiveError } from '@hivekeeper/contract';
import { z } from 'zod';

const identifier = z.string().min(1).max(63);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const partSchema = z.strictObject({
  table: identifier,
  columns: z.array(identifier).min(1),
  // It is a name in the backup's directory and nowhere else.
  file: z.string().regex(/^[a-z0-9_]+\.copy\.gz$/),
  rowCount: z.int().min(0),
  sizeBytes: z.int().min(0),
  sha256,
});
const sequenceSchema = z.strictObject({
  sequence: identifier,
  // Beyond what a number holds.
  lastValue: z.string().regex(/^-?\d{1,19}$/),
  isCalled: z.boolean(),
});
const contentsSchema = z.strictObject({
  format: z.literal(1),
  productVersion: z.string(),
  createdAtMs: z.int(),
  epoch: z.int().min(1),
  migrations: z.array(z.strictObject({ version: z.int().min(1), name: z.string(), checksum: sha256 })).min(1),
  parts: z.array(partSchema).min(1),
  sequences: z.array(sequenceSchema),
});
const sealedSchema = z.strictObject({ sha256, manifest: contentsSchema });

/** What a backup says of itself. Parts are in the order in which they are loaded. */
export type ManifestContents = z.infer<typeof contentsSchema>;
/** {@link ManifestContents} */
export type Manifest = Readonly<ManifestContents>;
/** One table. */
export type ManifestPart = Readonly<z.infer<typeof partSchema>>;
/** Where a sequence stood. */
export type ManifestSequence = Readonly<z.infer<typeof sequenceSchema>>;

/** The name of the manifest among a backup's parts. */
export const manifestPart = 'manifest.json';

const digestOf = (manifest: ManifestContents): string => createHash('sha256').update(JSON.stringify(manifest)).digest('hex');

/** The manifest as text, with its own digest beside it. */
export const sealManifest = (manifest: ManifestContents): string =>
  `${JSON.stringify({ sha256: digestOf(manifest), manifest }, undefined, 2)}\n`;

/** Reads a manifest. @throws HiveError BACKUP_INVALID */
export function parseManifest(text: string): Manifest {
  const refuse = (fault: string) => new HiveError('BACKUP_INVALID', `${manifestPart}: ${fault}`);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw refuse('is no JSON; it may be cut off');
  }
  const { success, data, error } = sealedSchema.safeParse(document);
  if (!success) throw refuse(`${error.issues[0]?.path.join('/') ?? ''} ${error.issues[0]?.message ?? 'has another shape'}`.trim());
  if (data.sha256 !== digestOf(data.manifest)) throw refuse('was changed: its digest is another');
  return data.manifest;
}
