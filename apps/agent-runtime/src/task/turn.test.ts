import { describe, expect, it } from 'vitest';
import { called, nextTurn, opening, replied, type Talk } from './turn.ts';

const budget = { maxModelCalls: 2, maxToolCalls: 2 };
const begun = opening({ instruction: 'do it', input: { a: 1 } }, 'You are kind.', Date.UTC(2026, 0, 2, 3, 4, 5));
const call = (id: string) => ({ id, name: 't', args: {} });
const calls = (talk: Talk, ...ids: readonly string[]) => replied(talk, { text: '', toolCalls: ids.map(call) });
const outputs = (talk: Talk, ...ids: readonly string[]) =>
  called(
    talk,
    ids.map((id) => ({ id, name: 't', text: 'x', isError: false })),
  );

describe('a task', () => {
  it('opens with the system prompt and the time, the instruction and the input', () => {
    expect(begun.messages).toEqual([
      { role: 'system', text: 'You are kind.\n\nCurrent date and time: 2026-01-02 03:04:05 UTC' },
      { role: 'user', text: 'do it' },
      { role: 'user', text: 'Input data: {"a":1}' },
    ]);
    expect(opening({ instruction: null, input: null }, '', 0).messages).toHaveLength(1);
  });

  it('asks, calls what the model wants, asks again, and ends with its text', () => {
    expect(nextTurn(begun, budget)).toEqual({ turn: 'ask' });
    const wanting = calls(begun, '1', '2');
    expect(nextTurn(wanting, budget)).toEqual({ turn: 'call', calls: [call('1'), call('2')] });
    const told = outputs(wanting, '1', '2');
    expect(nextTurn(told, budget)).toEqual({ turn: 'ask' });
    expect(nextTurn(replied(told, { text: 'done', toolCalls: [] }), budget)).toEqual({ turn: 'end', end: 'text', text: 'done' });
  });

  it('ends where the model wants more calls of tools than the budget has', () => {
    const second = calls(outputs(calls(begun, '1', '2'), '1', '2'), '3');
    expect(nextTurn(second, budget)).toMatchObject({ turn: 'end', end: 'failed', code: 'tool_execution_failed' });
  });

  it('ends where the model was asked as often as the budget allows', () => {
    const twice = outputs(calls(outputs(calls(begun, '1'), '1'), '2'), '2');
    expect(nextTurn(twice, budget)).toMatchObject({ turn: 'end', end: 'failed', code: 'internal_error' });
  });
});
