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
      const rule = fileRules.find(({ name }) => name.test(basename(path)));
      if (rule === undefined) return [];
      return rule.judge(path, rule.isText ? (read(path) ?? '') : '') ?? [];
    }),
};

interface FileRule {
  readonly name: RegExp;
  readonly isText: boolean;
  readonly judge: (path: SourcePath, text: string) => Violation | undefined;
}

const fileRules: readonly FileRule[] = [
  { name: /^\.env(?!.*\b(example|sample|template|dist|defaults?)\b)(\.[\w.-]+)?$|^[\w-]+\.env$/i, isText: true, judge: judgeEnvFile },
  { name: /\.(pem|key|p8|ppk)$|^id_(rsa|dsa|ecdsa|ed25519)$/i, isText: true, judge: judgePrivateKey },
  { name: /\.(p12|pfx|jks|keystore)$/i, isText: false, judge: judgeKeyStore },
  { name: /^\.npmrc$/, isText: true, judge: judgeNpmrc },
];

const secretName = /SECRET|TOKEN|PASSW|PRIVATE|CREDENTIAL|(API|ACCESS|ENCRYPTION|SIGNING)_?KEY/i;
const urlWithPassword = /^[a-z][a-z0-9+.-]*:\/\/[^/\s:@]*:[^/\s@]+@/i;
const placeholder = /^(|<.*>|\$\{.*\}|x+|\*+|\.+|change[-_ ]?me.*|your[-_ ].*|todo|none|null|example|placeholder|secret|password)$/i;

function judgeEnvFile(file: SourcePath, text: string): Violation | undefined {
  const set = Object.entries(parseEnv(text)).flatMap(([name, value]): [string, string][] => (placeholder.test(value ?? '') ? [] : [[name, value ?? '']]));
  if (set.length === 0) return undefined;
  const secrets = set.filter(([name, value]) => secretName.test(name) || urlWithPassword.test(value)).map(([name]) => name);
  const remediation = 'Remove it from git, list it in .gitignore, and replace every secret that was in it; commit a .env.example without values.';
  if (secrets.length === 0) return { rule: 'secret-env-file', severity: 'warning', file, message: 'An environment file is not ignored by git.', remediation };
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

function judgeKeyStore(file: SourcePath): Violation {
  return {
    rule: 'secret-key-store',
    severity: 'warning',
    file,
    message: 'A key store, which may hold private keys, is not ignored by git.',
    remediation: 'If it holds a private key, replace the key and keep the store out of git.',
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

const listed = (names: readonly string[]): string => (names.length <= 3 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`);
