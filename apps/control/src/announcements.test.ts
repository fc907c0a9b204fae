import { defaultTenantId, type JsonValue } from '@hivekeeper/contract';
import { expect, it } from 'vitest';
import { announcementOf } from './announcements.ts';

const approvalId = 'apr_01JD0000000000000000000000.0';

const announced = (input: JsonValue) =>
  announcementOf(
    {
      runStore: {
        // A run that asked for more than a list shows: this one is not among the newest.
        approvals: async () => [],
        approval: async (_tenantId: string, id: string) => ({
          id,
          runId: 'run_01JD0000000000000000000000',
          nodeId: 'n',
          agent: 'a',
          input,
        }),
      },
      redaction: { value: (value: JsonValue) => value },
    } as unknown as Parameters<typeof announcementOf>[0],
    { seq: '1', tenantId: defaultTenantId, kind: 'approval.requested', about: approvalId },
  );

it('an approval is told with its inputs, or with their beginning where a broker would not take them', async () => {
  const small = await announced({ path: '/repo' });
  expect(small?.body).toMatchObject({ inputs: { path: '/repo' }, inputsPreview: '{\n  "path": "/repo"\n}', inputsAreCut: false });
  const large = await announced({ text: '"'.repeat(400_000) });
  expect(large?.body).toMatchObject({ inputs: null, inputsAreCut: true });
  expect(JSON.stringify(large?.body).length).toBeLessThan(20_000);
});
