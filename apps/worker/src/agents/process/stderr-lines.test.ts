import { describe, expect, it } from 'vitest';
import { readStderrLine } from './stderr-lines.ts';

describe('a line of an agent’s stderr', () => {
  it.each([
    ['{"progress":{"done":3}}', { kind: 'progress', progress: { done: 3 } }],
    ['{"progress":0.5}', { kind: 'progress', progress: 0.5 }],
    ['{"error":"no such repository"}', { kind: 'error', message: 'no such repository' }],
    ['{"error":"502","dependency":"api"}', { kind: 'error', message: '502', dependency: 'api' }],
    ['{"error":"502","dependency":7}', { kind: 'error', message: '502' }],
    ['{"error":{"message":"deep"}}', { kind: 'error', message: 'deep' }],
    ['{"error":{"code":7}}', { kind: 'error', message: '{"code":7}' }],
    ['{"costMicroUsd":1200}', { kind: 'cost', microUsd: 1_200 }],
    ['{"costMicroUsd":-1}', { kind: 'text' }],
    ['{"costMicroUsd":0.5}', { kind: 'text' }],
    ['plain words', { kind: 'text' }],
    ['{"level":"info"}', { kind: 'text' }],
    ['{"progress":', { kind: 'text' }],
    ['{"progress":"\\u0000"}', { kind: 'text' }],
    ['', { kind: 'text' }],
  ])('%s is understood', (line, meaning) => {
    expect(readStderrLine(line)).toEqual(meaning);
  });
});
