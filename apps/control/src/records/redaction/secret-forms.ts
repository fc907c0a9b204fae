/** Secrets that their own form gives away, in a text. Every repetition is bounded, so that no text takes long. */

const pemEdge = '(?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----';
const pem = new RegExp(String.raw`-----BEGIN ${pemEdge}[\s\S]*?(?:-----END ${pemEdge}|$)`, 'g');

// Ours, and those of services that agents talk to.
const prefixed = [
  String.raw`(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b`,
  'hive_[A-Za-z0-9_-]{43}',
  'gh[pousr]_[A-Za-z0-9]{20,255}',
  'github_pat_[A-Za-z0-9_]{20,255}',
  'glpat-[A-Za-z0-9_-]{20,255}',
  'xox[abeoprs]-[A-Za-z0-9-]{10,255}',
  '[rs]k_(?:live|test)_[A-Za-z0-9]{10,255}',
  'AIza[A-Za-z0-9_-]{35}',
  'npm_[A-Za-z0-9]{36}',
  'sk-[A-Za-z0-9_-]{20,255}',
  String.raw`SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,128}`,
  'hf_[A-Za-z0-9]{20,255}',
  String.raw`ey[A-Za-z0-9_-]{8,4096}\.ey[A-Za-z0-9_-]{8,16384}\.[A-Za-z0-9_-]{0,4096}`,
];
const prefixedToken = new RegExp(String.raw`(?<![A-Za-z0-9])(?:${prefixed.join('|')})`, 'g');

// A digit, a capital or a mark inside: "bearer authentication" is prose.
const scheme = /\b([Bb]earer|BEARER|[Bb]asic|BASIC)(\s{1,4})(?=\S{0,200}(?:[\dA-Z_~+/=]|\.\w))[A-Za-z0-9._~+/=-]{6,8192}/g;
const addressPassword = /(\b[a-z][a-z0-9+.-]{0,30}:\/\/[^\s:/@]{0,200}:)[^\s@/]{1,500}(?=@)/gi;

const name = String.raw`[\w.-]{0,40}(?:passw(?:or)?d|passphrase|pwd|secret|token|credential|(?:api|access|private|auth)[_-]?key)[\w.-]{0,40}`;
const assignment = new RegExp(
  String.raw`((?<![\w.-])${name}["']?(?:\s{0,4}(?:=>|:=|[:=])\s{0,4}|(?<=--[\w.-]{1,90})\s{1,4}))("[^"]{1,8192}"|'[^']{1,8192}'|[^\s"'&,;}]{1,8192})`,
  'gi',
);
const headerLine = /((?:authorization|cookie)["']?\s{0,4}[:=]\s{0,4}["']?)[^\r\n"'}]{1,8192}/gi;

/** What stands where a secret stood. */
export const redacted = '[redacted]';

/** The text without what looks like a secret in it. */
export const withoutForms = (text: string): string =>
  text
    .replaceAll(pem, redacted)
    .replaceAll(prefixedToken, redacted)
    .replaceAll(scheme, `$1$2${redacted}`)
    .replaceAll(addressPassword, `$1${redacted}`)
    .replaceAll(headerLine, `$1${redacted}`)
    .replaceAll(assignment, `$1${redacted}`);
