import { basename } from 'node:path/posix';
import { parseEnv } from 'node:util';
import { type SourcePath, isTest } from '@hivekeeper/sdk/source-tree';
import { type RuleGroup, type Violation, lineAt } from './violation.ts';

/**
 * Files that exist to hold secrets and that git does not ignore. Secrets inside source code are the security scanner's
 * subject. No message repeats a value.
 */
export const secretRules: RuleGroup = {
  rules: ['secret-env-file', 'secret-private-key', 'secret-key-store', 'secret-npm-token'],
  apply: ({ tree, read }) =>
    tree.paths.flatMap((path) => {
      const fileRule = fileRules.find(({ name }) => name.test(basename(path)));
      if (fileRule === undefined) return [];
      const text = read(path);
      return (text === undefined ? unread(path, fileRule) : fileRule.judge(path, text)) ?? [];
    }),
};

interface FileRule {
  readonly rule: string;
  readonly name: RegExp;
  readonly judge: (path: SourcePath, text: string) => Violation | undefined;
}

const fileRules: readonly FileRule[] = [
  {
    rule: 'secret-env-file',
    name: /^\.env(?!.*\b(example|sample|template|dist|defaults?)\b)(\.[\w.-]+)?$|^[\w-]+\.env$/i,
    judge: judgeEnvFile,
  },
  { rule: 'secret-private-key', name: /\.(pem|key|p8|ppk)$|^id_(rsa|dsa|ecdsa|ed25519)$/i, judge: judgePrivateKey },
  { rule: 'secret-key-store', name: /\.(p12|pfx|jks|keystore)$/i, judge: (path) => unread(path, { rule: 'secret-key-store' }) },
  { rule: 'secret-npm-token', name: /^\.npmrc$/, judge: judgeNpmrc },
];

/** Binary, or closed to this agent: a private key of mode 0600 is, where the agent runs as somebody else. */
const unread = (file: SourcePath, { rule }: Pick<FileRule, 'rule'>): Violation => ({
  rule,
  severity: 'warning',
  file,
  message: 'A file that holds secrets, going by its name, is not ignored by git; it could not be read to tell.',
  remediation: 'Look into it; if it holds a secret, replace the secret and keep the file out of git.',
});

const secretName = /SECRET|TOKEN|PASSW|PRIVATE|CREDENTIAL|(API|ACCESS|ENCRYPTION|SIGNING)_?KEY/i;
const urlWithPassword = /^[a-z][a-z0-9+.-]*:\/\/[^/\s:@]*:[^/\s@]+@/i;
const placeholder = /^(|<.*>|\$\{.*\}|x+|\*+|\.+|change[-_ ]?me.*|your[-_ ].*|todo|none|null|example|placeholder|secret|password)$/i;

function judgeEnvFile(file: SourcePath, text: string): Violation | undefined {
  const set = Object.entries(parseEnv(text)).flatMap(([name, value]): [string, string][] =>
    placeholder.test(value ?? '') ? [] : [[name, value ?? '']],
  );
  if (set.length === 0) return undefined;
  const secrets = set.filter(([name, value]) => secretName.test(name) || urlWithPassword.test(value)).map(([name]) => name);
  const remediation =
    'Remove it from git, list it in .gitignore, and replace every secret that was in it; commit a .env.example without values.';
  if (secrets.length === 0)
    return { rule: 'secret-env-file', severity: 'warning', file, message: 'An environment file is not ignored by git.', remediation };
  const [first = ''] = secrets;
  return {
    rule: 'secret-env-file',
    severity: 'critical',
    file,
    line: text.split('\n').findIndex((line) => line.replace(/^\s*(export\s+)?/, '').startsWith(first)) + 1,
    message: `An environment file with values for ${listed(secrets)} is not ignored by git.`,
    remediation,
  };
}

function judgePrivateKey(file: SourcePath, text: string): Violation | undefined {
  const match = /-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----|^PuTTY-User-Key-File-/m.exec(text);
  if (match === null) return undefined;
  return {
    rule: 'secret-private-key',
    // Keys that tests bring along open nothing, as a rule.
    severity: isTest(file) ? 'warning' : 'critical',
    file,
    line: lineAt(text, match.index),
    message: 'A private key is not ignored by git.',
    remediation: 'Replace the key, remove the file from git and its history, and load the new one from a secret store.',
  };
}

function judgeNpmrc(file: SourcePath, text: string): Violation | undefined {
  const match = /^[^#;\n]*(_authToken|_password|_auth)\s*=\s*(?!\s*"?\$\{)\S/m.exec(text);
  if (match === null) return undefined;
  return {
    rule: 'secret-npm-token',
    severity: 'critical',
    file,
    line: lineAt(text, match.index),
    message: `A registry's ${match[1]} stands in a file that git does not ignore.`,
    remediation: 'Revoke it at the registry, and write ${NPM_TOKEN} in its place, which npm reads from the environment.',
  };
}

const listed = (names: readonly string[]): string =>
  names.length <= 3 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
