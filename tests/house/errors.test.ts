import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { errorCatalogue } from '../../packages/contract/src/error-codes.ts';
import { documents, errorsDocument } from '../../scripts/docs.ts';

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

describe('the documents made from code', () => {
  it.each(Object.keys(documents))('%s is what scripts/docs.ts writes', (path) => {
    expect(read(path)).toBe(documents[path]?.());
  });

  it('docs/errors.md has a row for every code of the catalogue, and for no other', () => {
    const documented = [...read('docs/errors.md').matchAll(/^\| `([A-Z_]+)` \|/gm)].map(([, code]) => code);
    expect(documented).toEqual(Object.keys(errorCatalogue));
  });

  it('every code says what it means, what to do, and ends hive with its own kind of failure', () => {
    for (const [code, entry] of Object.entries(errorCatalogue)) {
      expect([code, entry.cause === '', entry.remedy === '', entry.exitCode === 0, entry.httpStatus < 400]).toEqual([
        code,
        false,
        false,
        false,
        false,
      ]);
    }
  });

  it('a bar in a text does not break the table', () => {
    const document = errorsDocument({
      A: { httpStatus: 400, consequence: 'terminal', fault: 'caller', cause: 'a | b', remedy: 'c', exitCode: 2 },
    });
    expect(document).toContain('| `A` | 400 | caller | terminal | 2 | a \\| b | c |');
  });
});
