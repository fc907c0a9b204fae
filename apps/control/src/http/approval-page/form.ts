import { findJsonDefect, HiveError } from '@hivekeeper/contract';
import { z } from 'zod';

const decoder = new TextDecoder('utf-8', { fatal: true });

/** What the page's form sends, and what a program may send as JSON. Fields that are left empty are absent. */
export const decisionFormSchema = z.strictObject({
  decision: z.enum(['APPROVED', 'REJECTED']),
  name: z
    .string()
    .max(100)
    .regex(/^[^\p{Cc}]*$/u, 'a name has no control characters')
    .optional(),
  notes: z.string().max(4_000).optional(),
});

/** A form's fields as sent. @throws HiveError INVALID_REQUEST, UNSTORABLE_VALUE */
export function parseForm(bytes: Uint8Array): Readonly<Record<string, string>> {
  const entries = [...new URLSearchParams(textOf(bytes)).entries()];
  const twice = entries.map(([name]) => name).find((name, index, names) => names.indexOf(name) !== index);
  if (twice !== undefined) throw invalid(`/${twice}`, 'the field is there twice');
  // From entries, so that no field's name reaches a prototype before it is looked at.
  const fields = Object.fromEntries(entries.map(([name, value]) => [name, value.replaceAll('\r\n', '\n')]));
  const defect = findJsonDefect(fields);
  if (defect !== undefined)
    throw new HiveError('UNSTORABLE_VALUE', `the value at "${defect.path}" cannot be stored: ${defect.reason}`, {
      issues: [{ path: defect.path, message: defect.reason }],
    });
  return fields;
}

function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch {
    throw invalid('', 'the form is not UTF-8');
  }
}

const invalid = (path: string, message: string): HiveError => new HiveError('INVALID_REQUEST', message, { issues: [{ path, message }] });
