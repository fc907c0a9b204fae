import { z } from 'zod';

/** What an agent of the kind `container` is made of. */
export const containerSchema = z.strictObject({
  /** A tag or, better, a digest, of an image that is on the worker's machine: none is fetched. */
  image: z
    .string()
    .max(500)
    .regex(/^[a-z0-9][A-Za-z0-9._/:@-]*$/, 'a reference of an image such as registry.example.com/reviewer@sha256:…'),
  /** What is started instead of what the image starts by itself. */
  command: z.array(z.string().max(10_000)).max(100).default([]),
});
