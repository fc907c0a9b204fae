import { describe, expect, it } from 'vitest';
import { agentStatusSchema, safeErrorText } from './messages.ts';

describe('the text of an error', () => {
  it.each([
    ['password=x1 is wrong', 'password=*** is wrong'],
    ['Token: abc', 'Token=***'],
    ['API_KEY=sk-123 and SECRET:  s', 'API_KEY=*** and SECRET=***'],
    ['no such file /home/me/.ssh/id_rsa here', 'no such file /***REDACTED***/ here'],
    ['cannot read /run/secrets/openai', 'cannot read /***REDACTED***/'],
    ['nothing to hide', 'nothing to hide'],
    ['', ''],
  ])('keeps no secret: %j', (text, safe) => {
    expect(safeErrorText(text)).toBe(safe);
  });

  it('is cut at 500 bytes and says so, and no character is halved', () => {
    const text = safeErrorText('é'.repeat(400));
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(500);
    expect(text).toMatch(/^é+\.\.\.\[truncated\]$/);
    expect(safeErrorText('a'.repeat(500))).toBe('a'.repeat(500));
  });
});

describe('a status', () => {
  it('needs no more than id, status and time, and what others add is ignored', () => {
    const status = { agent_id: 'a', status: 'available', timestamp: '2026-01-01T00:00:00.123456789Z' };
    expect(agentStatusSchema.parse({ ...status, load: 0.5 })).toEqual(status);
  });
});
