import type { ErrorCode, Failure, Outcome } from '@hivekeeper/contract';

const maxMessageLength = 2_000;
const maxExcerptLength = 4_096;
// Control and direction characters can repaint a terminal or hide text; U+0000 cannot be stored. Newline and tab stay.
const unprintable = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text of an agent made fit to store and to show: control characters escaped, no half surrogates. */
export const printable = (text: string): string =>
  text.toWellFormed().replace(unprintable, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** A failed outcome. The excerpt is cut to what a ticket can carry: its end, where the cause usually stands. */
export function failed(code: ErrorCode, message: string, excerpt?: string): Outcome & { readonly ok: false } {
  const error: Failure = {
    code,
    message: printable(message).slice(0, maxMessageLength).toWellFormed(),
    ...(excerpt !== undefined && excerpt.trim() !== '' && { excerpt: printable(excerpt).slice(-maxExcerptLength).toWellFormed() }),
  };
  return { ok: false, error };
}
