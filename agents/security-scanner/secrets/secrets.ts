import type { Hit, Severity } from '../finding.ts';
import { type Source, withoutLongLines } from '../source.ts';
import { entropyOf, isName, isPlaceholder, isPlaceholderPassword, looksRandom } from './randomness.ts';
import { type TokenForm, tokenForms } from './token-forms.ts';

/** A secret in the text, and the text itself, which only redaction may see. */
export interface SecretHit extends Hit {
  readonly secret: string;
}

const prose = new Set(['.md', '.mdx', '.txt', '.rst', '.adoc', '.html', '.csv']);
const settings = new Set(['.env', '.ini', '.cfg', '.conf', '.properties', '.yml', '.yaml', '.toml']);

const secretWords = [
  ...['passw(?:or)?d', 'passphrase', 'pwd', 'secret', 'token', 'credentials?'],
  '(?:api|access|private|secret|auth)[_-]?key',
];
const secretName = String.raw`[\w.-]{0,40}(?:${secretWords.join('|')})`;
const quotedAssignment = new RegExp(`(${secretName})['"]?\\]?\\s*(?::|=>|:?=)\\s*(['"\`])([^'"\`\\s]{8,200})\\2`, 'gi');
const bareAssignment = new RegExp(`^[ \\t]*(?:export[ \\t]+)?(${secretName})[ \\t]*[:=][ \\t]*()([^\\s'"#\`]{8,200})[ \\t]*$`, 'gim');
const quotedNoise = /(['"`])([A-Za-z0-9+/_=-]{32,200})\1(?!\s*:)/g;
// What stands before noise that is public by nature.
const publicNoise = /sha-?\d{1,3}|integrity|base64|data:|hash|digest|checksum|fingerprint|public|pubkey|nonce|etag|commit|revision/i;

/**
 * Secrets in a text, comments included. Known token forms count anywhere; password assignments and bare noise not in
 * prose, where they illustrate, nor in tests, where they are invented.
 */
export function findSecrets(source: Source): readonly SecretHit[] {
  if (source.isTest || prose.has(source.extension))
    return withoutOverlap(
      findTokens(
        source.text,
        tokenForms.filter((each) => !each.isOftenInvented),
      ),
    );
  const text = withoutLongLines(source.text);
  return withoutOverlap([...findTokens(source.text, tokenForms), ...findAssignments({ ...source, text }), ...findNoise(text)]);
}

function findTokens(text: string, forms: readonly TokenForm[]): SecretHit[] {
  return forms.flatMap(({ name, severity, form, isOftenInvented }) =>
    [...text.matchAll(form)]
      .map((match) => ({
        secret: match[1] ?? match[0],
        offset: match.index + (match[1] === undefined ? 0 : match[0].lastIndexOf(match[1])),
      }))
      .filter(({ secret }) => !(isOftenInvented ? isPlaceholderPassword(secret) : isPlaceholder(secret)))
      .map((found) => secretHit(found, { severity, description: `${name}; revoke it and read it from the environment or a secret store` })),
  );
}

function findAssignments({ text, extension }: Source): SecretHit[] {
  const matches = [...text.matchAll(quotedAssignment), ...(settings.has(extension) ? text.matchAll(bareAssignment) : [])];
  return matches.flatMap((match) => {
    const [whole, name = '', , value = ''] = match;
    if (!isLikelyPassword(value)) return [];
    const found = { secret: value, offset: match.index + whole.lastIndexOf(value) };
    return [
      secretHit(found, {
        severity: 'high',
        description: `a secret written into the source as "${name}"; read it from the environment or a secret store`,
      }),
    ];
  });
}

/** Prefers silence: a password of letters only is indistinguishable from a word. */
const isLikelyPassword = (value: string): boolean =>
  /\d/.test(value) &&
  /[a-z]/i.test(value) &&
  entropyOf(value) >= 3 &&
  !isName(value) &&
  !isPlaceholderPassword(value) &&
  !/[()[\]{}]|=>/.test(value);

function findNoise(text: string): SecretHit[] {
  return [...text.matchAll(quotedNoise)].flatMap((match) => {
    const value = match[2] ?? '';
    const before = text.slice(Math.max(0, match.index - 40), match.index);
    if (!looksRandom(value) || isPlaceholder(value) || publicNoise.test(before)) return [];
    const found = { secret: value, offset: match.index + 1 };
    return [
      secretHit(found, {
        severity: 'medium',
        description: `a random-looking string of ${value.length} characters; if it is a key, read it from the environment`,
      }),
    ];
  });
}

const secretHit = (found: { secret: string; offset: number }, told: { severity: Severity; description: string }): SecretHit => ({
  type: 'secrets',
  ...found,
  ...told,
});

/** A file with more is a list of secrets, and known as one by then. */
const maxHits = 1_000;

/** Keeps the first, most specific of the hits that cover the same characters. */
function withoutOverlap(hits: readonly SecretHit[]): readonly SecretHit[] {
  const kept: SecretHit[] = [];
  for (const hit of hits) {
    if (kept.length === maxHits) break;
    const overlaps = kept.some((other) => hit.offset < other.offset + other.secret.length && other.offset < hit.offset + hit.secret.length);
    if (!overlaps) kept.push(hit);
  }
  return kept;
}

/** A line without the secrets of its file. A secret that runs over lines is taken out piece by piece. */
export function redact(line: string, hits: readonly SecretHit[]): string {
  const pieces = hits
    .flatMap(({ secret }) => secret.split('\n'))
    .map((piece) => piece.trim())
    .filter((piece) => piece.length >= 3 && !isKeyHeader(piece));
  return pieces.reduce((text, piece) => text.replaceAll(piece, '[redacted]'), line);
}

const isKeyHeader = (piece: string): boolean => /^-----(BEGIN|END) [A-Z ]+-----$/.test(piece);
