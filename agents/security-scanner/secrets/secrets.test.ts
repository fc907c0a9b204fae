import { describe, expect, it } from 'vitest';
import { sourceOf } from '../source.ts';
import { findSecrets, redact } from './secrets.ts';

// Put together here, so that no scanner of this repository takes the examples for leaks.
const made = (...pieces: string[]): string => pieces.join('');
const noise = made('q7Zt2LxP9vKd4RmW', '8yBn3HsC6jFg1TaE', '5uXo0QwI');
const key = made(
  '-----BEGIN RSA ',
  'PRIVATE KEY-----\n',
  'MIIEpAIBAAKCAQEAq7Zt2LxP9vKd4RmW8yBn\n3HsC6jFg1TaE5uXo0QwI\n',
  '-----END RSA ',
  'PRIVATE KEY-----',
);

const secretsIn = (text: string, path = 'src/a.ts') => findSecrets(sourceOf(path, text)).map(({ secret }) => secret);

describe('findSecrets', () => {
  it.each([
    ['an AWS access key id', made('AKIA', 'Q3EGRLZ7PFXW2M4T')],
    ['a GitHub token', made('ghp', '_', 'q7Zt2LxP9vKd4RmW8yBn3HsC6jFg1TaE5uXo')],
    ['a fine-grained GitHub token', made('github', '_pat_', '11ABCDE0Y0', noise, noise)],
    ['a GitLab token', made('glpat', '-q7Zt2LxP9vKd4RmW8yBn')],
    ['a Slack token', made('xoxb', '-204857261-938475610293-q7Zt2LxP9vKd4RmW')],
    ['a live Stripe key', made('sk', '_live_', 'q7Zt2LxP9vKd4RmW8yBn3HsC')],
    ['a Google API key', made('AI', 'za', 'q7Zt2LxP9vKd4RmW8yBn3HsC6jFg1TaE5uX')],
    ['an npm token', made('npm', '_', 'q7Zt2LxP9vKd4RmW8yBn3HsC6jFg1TaE5uXo')],
    ['an Anthropic key', made('sk', '-ant-', noise)],
    ['a web token', made('ey', 'JhbGciOiJIUzI1NiJ9', '.ey', 'JzdWIiOiI3NDAxNTUifQ', '.q7Zt2LxP9vKd4RmW8yBn3HsC6jFg')],
    ['a private key', key],
    ['a private key on one line', key.replaceAll('\n', '\\n')],
  ])('finds %s wherever it stands in code', (_, secret) => {
    expect(secretsIn(`call("${secret}") // note`)).toEqual([secret]);
    expect(secretsIn(`# ${secret}`, 'a.py')).toEqual([secret]);
  });

  it.each([
    ['const dbPassword = "Kx7-mandolin-Q2";', 'Kx7-mandolin-Q2'],
    ["{ 'api_key': 'a83jf0q-vb72lw-01' }", 'a83jf0q-vb72lw-01'],
    ['client.secret = `9f8a7b6c5d4e3f2a1b0c`', '9f8a7b6c5d4e3f2a1b0c'],
    ['url = "postgres://app:Kx7mandolinQ2@db.internal/app"', 'Kx7mandolinQ2'],
    [`load("${noise}")`, noise],
  ])('finds the secret in %s', (text, secret) => expect(secretsIn(text)).toEqual([secret]));

  it('reads unquoted values in settings files, and only there', () => {
    expect(secretsIn('export DB_PASSWORD=Kx7-mandolin-Q2\n', 'deploy/.env.production')).toEqual(['Kx7-mandolin-Q2']);
    expect(secretsIn('  api_key: Kx7-mandolin-Q2\n', 'config.yaml')).toEqual(['Kx7-mandolin-Q2']);
    expect(secretsIn('password = readPassword2(file)\n')).toEqual([]);
  });

  it.each([
    'accessKeyId: "AKIAIOSFODNN7EXAMPLE"',
    'password: "changeme-1234"',
    'password = process.env.PASSWORD2',
    'const token = `${process.env.TOKEN_2}`',
    'apiKey: "<your-api-key-2>"',
    'secret: "xxxxxxxx12345678"',
    'token: "x-request-token-v2"',
    'tokenPath: "/run/secrets/token2"',
    'const password = "correct horse battery 9"',
    'password: "Passwort"',
    'integrity: "sha512-q7Zt2LxP9vKd4RmW8yBn3HsC6jFg1TaE5uXo0QwIq7Zt2LxP9vKd4RmW8yBn3HsC"',
    'const id = "3fa85f64-5717-4562-b3fc-2c963f66afa6"',
    'const sha = "da39a3ee5e6b4b0d3255bfef95601890afd80709"',
    'import { handleUserAuthenticationTokenRefreshWithRetry2024 } from "handleUserAuthenticationTokenRefreshWithRetry2024"',
    'const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"',
    'const pem = /-----BEGIN (RSA )?PRIVATE KEY-----/',
    'url = "postgres://postgres:postgres2x@localhost:5432/app"',
    'url = "postgres://user:${PASSWORD}@db.internal/app"',
  ])('leaves %s alone', (text) => expect(secretsIn(text)).toEqual([]));

  it('takes passwords in tests and prose for invented, but not tokens', () => {
    const token = made('AKIA', 'Q3EGRLZ7PFXW2M4T');
    const text = `password = "Kx7-mandolin-Q2" ${token}`;
    for (const path of ['src/a.test.ts', 'README.md']) expect(secretsIn(text, path)).toEqual([token]);
  });

  it('reports a token once, though it is also a quoted assignment', () => {
    const token = made('ghp', '_', 'q7Zt2LxP9vKd4RmW8yBn3HsC6jFg1TaE5uXo');
    expect(findSecrets(sourceOf('a.ts', `const apiToken = "${token}"`))).toMatchObject([{ severity: 'critical', secret: token }]);
  });
});

describe('redact', () => {
  it('takes every secret of the file out of a line, also the pieces of a long one', () => {
    const hits = findSecrets(sourceOf('a.ts', `const password = "Kx7-mandolin-Q2";\n${key}`));
    expect(redact('a Kx7-mandolin-Q2 b 3HsC6jFg1TaE5uXo0QwI c Kx7-mandolin-Q2', hits)).toBe('a [redacted] b [redacted] c [redacted]');
  });

  it('never repeats a secret in a description', () => {
    for (const { secret, description } of findSecrets(sourceOf('a.ts', `const password = "Kx7-mandolin-Q2"; f("${noise}")\n${key}`))) {
      expect(description).not.toContain(secret);
    }
  });
});
