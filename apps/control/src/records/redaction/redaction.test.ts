import type { JsonValue } from '@hivekeeper/contract';
import { describe, expect, it } from 'vitest';
import { Redaction } from './redaction.ts';
import { isSecretName } from './secret-names.ts';

// Put together here, so that no scanner of this repository takes the examples for leaks.
const made = (...pieces: string[]): string => pieces.join('');
const noise = made('q7Zt2LxP9vKd4RmW', '8yBn3HsC6jFg1TaE', '5uXo0QwI');
const pem = made(
  '-----BEGIN RSA ',
  'PRIVATE KEY-----\n',
  'MIIEpAIBAAKCAQEAq7Zt2LxP9vKd\n3HsC6jFg1TaE5uXo0QwI\n',
  '-----END RSA ',
  'PRIVATE KEY-----',
);
const declared = 'correct-horse/battery?';

const redaction = new Redaction(() => [declared, 'short']);
const shown = (value: JsonValue) => redaction.value(value);
const hidden = '[redacted]';

describe('by its name', () => {
  it.each([
    ...['password', 'dbPassword', 'DB_PASSWORD', 'db-passwd', 'passphrase', 'pwd', 'password2', 'passwords', 'userpassword'],
    ...['secret', 'clientSecret', 'secrets', 'secret_value', 'token', 'accessToken', 'x-auth-token', 'GITHUB_TOKEN', 'nextPageToken'],
    ...['apiKey', 'api_key', 'apikey', 'API-KEY', 'x-api-key', 'accessKeyId', 'privateKey', 'signingKey', 'accountKey', 'keys.secretKey'],
    ...['authorization', 'Authorization', 'proxy-authorization', 'auth', 'cookie', 'Set-Cookie', 'credentials', 'awsCredentials'],
  ])('a value called %s is hidden, whatever it is', (name) => {
    expect(isSecretName(name)).toBe(true);
    expect(shown({ [name]: 'plain words', other: 1 })).toEqual({ [name]: hidden, other: 1 });
    expect(shown({ deep: [{ [name]: { user: 'ann', list: ['a', 'b'] } }] })).toEqual({ deep: [{ [name]: hidden }] });
  });

  it.each([
    'target',
    'author',
    'secretary',
    'key',
    'keyboard',
    'monkey',
    'compass',
    'passenger',
    'tokenizer',
    'cookies2go',
    'path',
    'name',
  ])('a value called %s is shown', (name) => {
    expect(isSecretName(name)).toBe(false);
    expect(shown({ [name]: 'plain words' })).toEqual({ [name]: 'plain words' });
  });

  it('hides numbers of passwords and not of tokens; what is empty, absent, or yes or no, hides nothing', () => {
    const open = { maxTokens: 1000, hasPassword: true, secret: null, token: '', passwordRequired: false };
    expect(shown({ ...open, password: 123_456 })).toEqual({ ...open, password: hidden });
  });

  it.each<[JsonValue, JsonValue]>([
    [
      [
        { name: 'API_KEY', value: 'abc' },
        { name: 'MODE', value: 'abc' },
      ],
      [
        { name: 'API_KEY', value: hidden },
        { name: 'MODE', value: 'abc' },
      ],
    ],
    [
      { header: 'Authorization', value: 'x' },
      { header: 'Authorization', value: hidden },
    ],
    [
      ['deploy', '--token', 'abc', '--to', 'prod'],
      ['deploy', '--token', hidden, '--to', 'prod'],
    ],
    [
      ['-p', 'abc'],
      ['-p', 'abc'],
    ],
  ])('also where the name stands beside the value: %j', (value, expected) => expect(shown(value)).toEqual(expected));
});

describe('by its form', () => {
  it.each([
    ['an AWS access key id', made('AKIA', 'IOSFODNN7', 'EXAMPLE')],
    ['a temporary one', made('ASIA', 'Q3EGRLZ7PFXW2M4T')],
    ['a GitHub token', made('ghp', '_', 'q7Zt2LxP9vKd4RmW8yBn3HsC6jFg1TaE5uXo')],
    ['a fine-grained GitHub token', made('github', '_pat_', '11ABCDE0Y0', noise)],
    ['a GitLab token', made('glpat', '-q7Zt2LxP9vKd4RmW8yBn')],
    ['a Slack token', made('xoxb', '-204857261-938475610293-q7Zt2LxP9vKd4RmW')],
    ['a Stripe key', made('sk', '_live_', 'q7Zt2LxP9vKd4RmW8yBn3HsC')],
    ['a Google API key', made('AI', 'za', 'q7Zt2LxP9vKd4RmW8yBn3HsC6jFg1TaE5uX')],
    ['an npm token', made('npm', '_', 'q7Zt2LxP9vKd4RmW8yBn3HsC6jFg1TaE5uXo')],
    ['a model’s API key', made('sk', '-ant-', noise)],
    ['a SendGrid key', made('SG', '.q7Zt2LxP9vKd4RmW8yBn31', '.', noise)],
    ['a web token', made('ey', 'JhbGciOiJIUzI1NiJ9', '.ey', 'JzdWIiOiI3NDAxNTUifQ', '.q7Zt2LxP9vKd4RmW8yBn3HsC6jFg')],
    ['one of our own keys', made('hive', '_', noise, 'abc')],
    ['a private key', pem],
    ['the beginning of a private key', pem.slice(0, 60)],
  ])('%s is hidden inside a text', (_, secret) => {
    expect(shown(`call(${secret})`)).toMatch(/^call\(\[redacted\]\)?$/);
    expect(Object.keys(shown({ [secret]: 1 }) as object)).toEqual([hidden]);
  });

  it.each([
    [`Authorization: Bearer ${noise}`, `Authorization: ${hidden}`],
    [`curl -H "Authorization: Basic ${noise}=="`, `curl -H "Authorization: ${hidden}"`],
    ['then Bearer abc.def-123 it', `then Bearer ${hidden} it`],
    ['Cookie: sid=abc; theme=dark\nAccept: */*', `Cookie: ${hidden}\nAccept: */*`],
    ['postgres://app:Kx7mandolin@db.internal/app', `postgres://app:${hidden}@db.internal/app`],
    ['https://host/x?api_key=abc&page=2', `https://host/x?api_key=${hidden}&page=2`],
    ['DB_PASSWORD=hunter2 npm start', `DB_PASSWORD=${hidden} npm start`],
    ['export const apiKey = "a b c";', `export const apiKey = ${hidden};`],
    ['{"token": "abc", "mode": "x"}', `{"token": ${hidden}, "mode": "x"}`],
    ['deploy --token abc --to prod', `deploy --token ${hidden} --to prod`],
    ['deploy --token=abc', `deploy --token=${hidden}`],
    ['password: hunter2', `password: ${hidden}`],
  ])('%s', (text, expected) => expect(shown(text)).toBe(expected));

  it.each([
    'Use bearer authentication.',
    'the basic idea',
    'Deploy to production?',
    'https://user@host/path',
    'sha256:da39a3ee5e6b4b0d3255bfef95601890afd80709',
    '3fa85f64-5717-4562-b3fc-2c963f66afa6',
    'rm -rf /var/tmp/cache',
    'tokens are counted',
  ])('leaves %s alone', (text) => expect(shown(text)).toBe(text));
});

describe('by its value', () => {
  it('a declared secret is hidden wherever it stands, also in an address, in base64 and in a key', () => {
    const base64 = Buffer.from(declared).toString('base64');
    for (const text of [declared, encodeURIComponent(declared), base64, base64.replaceAll('=', '')])
      expect(shown({ a: [`x ${text} y`], [text]: 1 })).toEqual({ a: [`x ${hidden} y`], [hidden]: 1 });
    expect(redaction.text(`with ${declared}`)).toBe(`with ${hidden}`);
  });

  it('what a name gave away is hidden where it stands without a name', () => {
    expect(shown({ password: 'Kx7mandolin', command: 'login ann Kx7mandolin', list: { secrets: ['abcdef1'] }, note: 'abcdef1!' })).toEqual({
      password: hidden,
      command: `login ann ${hidden}`,
      list: { secrets: hidden },
      note: `${hidden}!`,
    });
  });

  it('a short one is not: it would take words out of what is to be decided', () => {
    expect(shown({ password: 'prod', target: 'prod', text: 'short' })).toEqual({ password: hidden, target: 'prod', text: 'short' });
  });
});

it('leaves everything else exactly as it is, and does not change what it is given', () => {
  const value = { n: 1.5, yes: true, nothing: null, list: [[], {}, 'text'], deep: { 'a b': { c: [1, 2] } }, password: 'hunter2-hunter2' };
  const before = JSON.stringify(value);
  const { password, ...rest } = value;
  expect(shown(value)).toEqual({ ...rest, password: hidden });
  expect(JSON.stringify(value)).toBe(before);
  expect(password).toBe('hunter2-hunter2');
});
