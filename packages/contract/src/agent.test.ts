import { describe, expect, it } from 'vitest';
import { agentManifestSchema, riskLevelOf } from './agent.ts';

describe('a manifest', () => {
  const http = { url: 'https://agents.example.com/x', secretVariable: 'SECRET' };
  const faultOf = (more: object) =>
    agentManifestSchema.safeParse({ name: 'a', version: '1.0.0', ...more }).error?.issues[0]?.path.join('/');

  it.each([
    [{ kind: 'http', http }, undefined],
    [{}, undefined],
    [{ kind: 'coding', coding: { command: ['fix'] } }, undefined],
    [{ kind: 'coding' }, 'coding'],
    [{ kind: 'container', container: { image: 'a/b:1' } }, undefined],
    [{ kind: 'container', container: { image: '--privileged' } }, 'container/image'],
    [{ kind: 'coding', coding: { command: [] } }, 'coding/command'],
    [{ coding: { command: ['fix'] } }, 'coding'],
    [{ kind: 'http' }, 'http'],
    [{ http }, 'http'],
    [{ kind: 'http', http, grants: [{ field: 'x', access: 'read' }] }, 'grants'],
    [{ kind: 'http', http, models: ['fast'] }, 'models'],
    [{ kind: 'http', http: { ...http, url: 'ftp://x' } }, 'http/url'],
    [{ kind: 'http', http: { ...http, url: 'https://ann:pw@x/' } }, 'http/url'],
    [{ kind: 'http', http: { ...http, secretVariable: 'HIVE_TOKEN' } }, 'http/secretVariable'],
    [{ kind: 'http', http: { ...http, callbackTimeoutMs: 1 } }, 'http/callbackTimeoutMs'],
  ])('%j is at fault at %s', (more, path) => expect(faultOf(more)).toBe(path));
});

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
