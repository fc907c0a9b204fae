/* The law of the line: sizes, units, coded errors, no clock, no environment, named exports, documented doors. */
import tseslint from 'typescript-eslint';
import jsdoc from 'eslint-plugin-jsdoc';

const UNITLESS = '[key.name=/(timeout|delay|interval|ttl|duration|period|grace|backoff|age)$/i] > TSTypeAnnotation > TSNumberKeyword';
// Agents are programs of their own: they talk by stdout and read their own input from the environment.
const programs = ['agents/**', 'benchmarks/**', 'scripts/**', 'tests/**'];

export default tseslint.config(
  { ignores: ['**/node_modules/**', '**/fixtures/**', '.hivekeeper/**', '**/.hive-*/**', 'coverage/**'] },
  {
    files: ['**/*.ts', '**/*.mjs'],
    languageOptions: { parser: tseslint.parser },
    plugins: { jsdoc, '@typescript-eslint': tseslint.plugin },
    rules: {
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
      complexity: ['error', 12],
      'max-params': ['error', 3],
      'no-console': 'error',
      eqeqeq: 'error',
      'no-eval': 'error',
      'no-new-func': 'error',
      'no-implied-eval': 'error',
      'prefer-const': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', caughtErrors: 'none' }],
      'no-restricted-syntax': [
        'error',
        { selector: 'TSPropertySignature' + UNITLESS, message: 'Name the unit: timeoutMs, ttlSeconds.' },
        { selector: 'ThrowStatement > NewExpression[callee.name="Error"]', message: 'Throw a coded error (HiveError).' },
        { selector: 'ExportDefaultDeclaration', message: 'Named exports only.' },
        { selector: 'ExportAllDeclaration', message: 'List what you export.' },
        {
          selector: 'CallExpression[callee.property.name=/^(skip|only|todo)$/][callee.object.name=/^(it|test|describe)$/]',
          message: 'Every test runs.',
        },
        {
          selector: 'CallExpression[callee.object.name="vi"][callee.property.name=/^(mock|doMock)$/]',
          message: 'No module mocks: pass a fake through a port.',
        },
      ],
    },
  },
  {
    files: ['**/*.ts'],
    ignores: ['packages/kernel/**', '**/main.ts', '**/*.test.ts', 'packages/testkit/**', ...programs],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Read config.ts.' },
        { object: 'Date', property: 'now', message: 'Use Clock.' },
        { object: 'Math', property: 'random', message: 'Use Random.' },
      ],
      'no-restricted-globals': ['error', 'setTimeout', 'setInterval'],
    },
  },
  {
    files: ['packages/contract/src/**/*.ts', '**/index.ts'],
    ignores: ['**/*.test.ts', ...programs],
    rules: {
      'jsdoc/require-jsdoc': [
        'error',
        {
          publicOnly: true,
          contexts: ['TSInterfaceDeclaration', 'TSTypeAliasDeclaration', 'ExportNamedDeclaration > VariableDeclaration'],
        },
      ],
    },
  },
  { files: ['**/*.test.ts', 'tests/**'], rules: { 'max-lines-per-function': 'off' } },
  { files: ['**/*.config.*', '*.config.*'], rules: { 'no-restricted-syntax': 'off' } },
);
