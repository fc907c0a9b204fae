import { describe, expect, it } from 'vitest';
import { riskLevelOf } from './agent.ts';

describe('the risk of an action', () => {
  const capabilities = [
    { name: 'look', riskLevel: 'AUTO' as const },
    { name: 'mend', riskLevel: 'APPROVAL_REQUIRED' as const },
    { name: 'tell' },
  ];
  const risk = (riskLevel: 'AUTO' | 'APPROVAL_REQUIRED', action?: string) => riskLevelOf({ riskLevel, capabilities }, action);

  it('is what its capability says, whatever the agent says', () => {
    expect([risk('APPROVAL_REQUIRED', 'look'), risk('AUTO', 'mend')]).toEqual(['AUTO', 'APPROVAL_REQUIRED']);
  });

  it('is the agent’s where its capability says nothing', () => {
    expect([risk('APPROVAL_REQUIRED', 'tell'), risk('AUTO', 'tell')]).toEqual(['APPROVAL_REQUIRED', 'AUTO']);
  });

  it('is the strictest of all where no capability is named, or an unknown one', () => {
    expect([risk('AUTO'), risk('AUTO', 'else'), risk('APPROVAL_REQUIRED')]).toEqual(Array(3).fill('APPROVAL_REQUIRED'));
    const harmless = { riskLevel: 'AUTO' as const, capabilities: capabilities.slice(0, 1) };
    expect([riskLevelOf(harmless), riskLevelOf(harmless, 'else'), riskLevelOf({ ...harmless, capabilities: [] })]).toEqual(
      Array(3).fill('AUTO'),
    );
  });
});
