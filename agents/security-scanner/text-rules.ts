import type { FindingType, Hit, Severity } from './finding.ts';
import { type Source, lineAt, withoutLongLines } from './source.ts';

/** A rule for languages that are read as text. */
interface TextRule {
  readonly extensions: readonly string[];
  readonly type: FindingType;
  readonly severity: Severity;
  readonly pattern: RegExp;
  /** What, in the matched text and the rest of its line, makes it harmless. */
  readonly unless?: RegExp;
  readonly description: string;
}

const py = ['.py'];
const sql = String.raw`\b(?:SELECT\b.*\bFROM|INSERT\s+INTO|UPDATE\b.*\bSET|DELETE\s+FROM)\b`;
const shellDescription = 'a shell command put together from values; pass an argument list and leave the shell out';
const sqlDescription = 'an SQL statement put together from values; pass them as query parameters';
const hashDescription = 'md5 and sha1 can be collided; use sha256, or scrypt or argon2 for passwords';
const cipherDescription = 'this cipher or mode does not keep a secret; use AES-GCM';
const tlsDescription = 'certificates are not verified, so anybody may answer; trust the CA you need instead';
const loadDescription = 'reading untrusted data this way runs code that the data chooses; use a data-only format';
const evalDescription = 'runs text that is not fixed in the source as code; parse the data instead';

const rules: readonly TextRule[] = [
  // Python
  {
    extensions: py,
    type: 'code-injection',
    severity: 'high',
    pattern: /(?<![\w.])(?:eval|exec)\((?!\s*(?:\)|[rbu]?(['"])[^'"]*\1\s*[,)]))/g,
    description: evalDescription,
  },
  {
    extensions: py,
    type: 'unsafe-deserialization',
    severity: 'high',
    pattern: /\b(?:c?[pP]ickle|dill|shelve|marshal)\.(?:loads?|open|Unpickler)\(/g,
    description: loadDescription,
  },
  {
    extensions: py,
    type: 'unsafe-deserialization',
    severity: 'high',
    pattern: /\byaml\.(?:load|load_all)\([^\n]*/g,
    unless: /Loader\s*=\s*(?:yaml\.)?C?(?:Safe|Base)Loader|,\s*(?:yaml\.)?C?(?:Safe|Base)Loader/,
    description: loadDescription,
  },
  {
    extensions: py,
    type: 'command-injection',
    severity: 'high',
    pattern: /\bos\.(?:system|popen)\((?!\s*[rbu]?(['"])[^'"\n]*\1\s*\))[^\n]*/g,
    description: shellDescription,
  },
  {
    extensions: py,
    type: 'command-injection',
    severity: 'high',
    pattern: /\bsubprocess\.\w+\((?!\s*[rbu]?(['"])[^'"\n]*\1\s*,)(?:[^()]|\([^()]*\)){0,600}?\bshell\s*=\s*True/g,
    description: shellDescription,
  },
  {
    extensions: py,
    type: 'sql-injection',
    severity: 'high',
    pattern: new RegExp(String.raw`\bf(['"]{1,3})[^'"\n]*${sql}[^"\n]*(?:[=<>]|LIKE|VALUES\s*\()\s*'?%?\{`, 'gi'),
    description: sqlDescription,
  },
  {
    extensions: py,
    type: 'sql-injection',
    severity: 'high',
    pattern: new RegExp(String.raw`\bexecute(?:many)?\(\s*(['"]{1,3})[^\n]*${sql}[^\n]*\1\s*(?:%|\+|\.format\()`, 'gi'),
    description: sqlDescription,
  },
  {
    extensions: py,
    type: 'weak-crypto',
    severity: 'medium',
    pattern: /\bhashlib\.(?:md5|sha1|new\(\s*['"](?:md5|sha1)['"])[^\n]*/g,
    unless: /usedforsecurity\s*=\s*False/,
    description: hashDescription,
  },
  {
    extensions: py,
    type: 'weak-crypto',
    severity: 'high',
    pattern: /\b(?:DES3?|ARC4|Blowfish)\.new\(|\bAES\.MODE_ECB\b/g,
    description: cipherDescription,
  },
  {
    extensions: py,
    type: 'tls-verification',
    severity: 'high',
    pattern: /\bverify\s*=\s*False\b|\bssl\._create_unverified_context\b|\bssl\.CERT_NONE\b/g,
    description: tlsDescription,
  },
  {
    extensions: py,
    type: 'insecure-random',
    severity: 'high',
    pattern: /\b\w*(?:token|secret|passw|salt|otp|api_?key)\w*\s*=[^=\n]*\brandom\.(?:random|randint|choices?|getrandbits)\(/gi,
    unless: /secrets\.|SystemRandom/,
    description: 'the random module can be foretold; use the secrets module',
  },
  // Other languages
  {
    extensions: ['.php'],
    type: 'code-injection',
    severity: 'high',
    pattern: /\b(?:eval|assert|create_function)\s*\([^)\n]*\$/g,
    description: evalDescription,
  },
  {
    extensions: ['.php'],
    type: 'command-injection',
    severity: 'high',
    pattern: /\b(?:system|exec|shell_exec|passthru|popen|proc_open)\s*\([^\n]*\$[^\n]*/g,
    unless: /escapeshell(?:arg|cmd)/,
    description: shellDescription,
  },
  {
    extensions: ['.php'],
    type: 'unsafe-deserialization',
    severity: 'high',
    pattern: /\bunserialize\s*\(\s*\$[^\n]*/g,
    unless: /allowed_classes['"]?\s*=>\s*false/,
    description: loadDescription,
  },
  {
    extensions: ['.php', '.rb', '.java', '.kt', '.cs', '.scala'],
    type: 'sql-injection',
    severity: 'high',
    pattern: new RegExp(String.raw`"[^"\n]*${sql}[^"\n]*(?:[=<>]|LIKE|VALUES\s*\()\s*'?%?(?:"\s*[+.]\s*\$?\w|#\{|\$\{?\w)`, 'gi'),
    description: sqlDescription,
  },
  {
    extensions: ['.go'],
    type: 'sql-injection',
    severity: 'high',
    pattern: new RegExp(String.raw`\bSprintf\(\s*["\`][^"\`]*${sql}[^"\`]*(?:[=<>]|LIKE|VALUES\s*\()\s*'?%[svq]`, 'gi'),
    description: sqlDescription,
  },
  {
    extensions: ['.go'],
    type: 'command-injection',
    severity: 'high',
    pattern: /\bexec\.Command(?:Context)?\([^\n]*"(?:ba|z)?sh",\s*"-c",(?!\s*")[^\n]+/g,
    description: shellDescription,
  },
  {
    extensions: ['.go'],
    type: 'tls-verification',
    severity: 'high',
    pattern: /\bInsecureSkipVerify:\s*true\b/g,
    description: tlsDescription,
  },
  {
    extensions: ['.go'],
    type: 'weak-crypto',
    severity: 'medium',
    pattern: /\b(?:md5|sha1)\.(?:New|Sum)\w*\(/g,
    description: hashDescription,
  },
  {
    extensions: ['.java', '.kt', '.scala'],
    type: 'weak-crypto',
    severity: 'medium',
    pattern: /\bMessageDigest\.getInstance\(\s*"(?:MD5|SHA-?1)"/gi,
    description: hashDescription,
  },
  {
    extensions: ['.java', '.kt', '.scala'],
    type: 'weak-crypto',
    severity: 'high',
    pattern: /\bCipher\.getInstance\(\s*"(?:DES|RC4|[^"]*\/ECB)/gi,
    description: cipherDescription,
  },
  {
    extensions: ['.java', '.kt', '.scala'],
    type: 'command-injection',
    severity: 'high',
    pattern: /\bgetRuntime\(\)\.exec\([^\n]*\+[^\n]*/g,
    description: shellDescription,
  },
  {
    extensions: ['.rb'],
    type: 'command-injection',
    severity: 'high',
    pattern: /\b(?:system|exec|spawn)[ (]+"[^"\n]*#\{/g,
    description: shellDescription,
  },
  {
    extensions: ['.rb'],
    type: 'unsafe-deserialization',
    severity: 'high',
    pattern: /\bMarshal\.load\(|\bYAML\.(?:unsafe_load|load)\(/g,
    description: loadDescription,
  },
  { extensions: ['.rb'], type: 'tls-verification', severity: 'high', pattern: /\bVERIFY_NONE\b/g, description: tlsDescription },
  {
    extensions: ['.vue'],
    type: 'xss',
    severity: 'medium',
    pattern: /\sv-html\s*=/g,
    unless: /sanitiz|purify/i,
    description: 'v-html shows text as markup; use text interpolation, or sanitise it',
  },
  {
    extensions: ['.sh', '.bash', '.yml', '.yaml', '.env', ''],
    type: 'tls-verification',
    severity: 'high',
    pattern: /\bNODE_TLS_REJECT_UNAUTHORIZED\s*[=:]\s*['"]?0/g,
    description: tlsDescription,
  },
];

const comment = /^\s*(?:#|\/\/|\/?\*|--|""")/;

/** The rules for a file's language; a match in a comment line is none. */
export function checkText({ extension, text }: Source): readonly Hit[] {
  const judged = withoutLongLines(text);
  return rules.filter(({ extensions }) => extensions.includes(extension)).flatMap((rule) => matchesOf(rule, judged));
}

function matchesOf({ pattern, unless, ...told }: TextRule, text: string): Hit[] {
  return [...text.matchAll(pattern)]
    .filter((match) => !comment.test(lineAt(text, match.index)) && !(unless?.test(match[0] + lineAt(text, match.index)) ?? false))
    .map((match) => ({ type: told.type, severity: told.severity, offset: match.index, description: told.description }));
}
