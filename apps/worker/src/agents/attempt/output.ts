import { type JsonValue, findJsonDefect } from '@hivekeeper/contract';

/** The document, or why stdout was not exactly one that can be stored. */
export type ParsedOutput = { readonly ok: true; readonly value: JsonValue } | { readonly ok: false; readonly reason: string };

/** Reads stdout as exactly one JSON document. White space around it is allowed, nothing else. */
export function parseOutput(stdout: Buffer): ParsedOutput {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(stdout);
  } catch {
    return { ok: false, reason: 'stdout is not UTF-8' };
  }
  if (text.trim() === '') return { ok: false, reason: 'stdout is empty' };
  try {
    const value: unknown = JSON.parse(text);
    const defect = findJsonDefect(value);
    return defect === undefined
      ? { ok: true, value: value as JsonValue }
      : { ok: false, reason: `at ${defect.path || '/'}: ${defect.reason}` };
  } catch (error) {
    return { ok: false, reason: `stdout is not one JSON document: ${error instanceof Error ? error.message : String(error)}` };
  }
}
