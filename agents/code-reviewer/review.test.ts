import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { issueOf } from './issue.ts';
import { review } from './review.ts';

it('gives the 200 worst issues of more, counts all, and says so', async () => {
  const root = mkdtempSync(join(tmpdir(), 'review-'));
  try {
    const clone = Array.from({ length: 210 }, (_, index) => `JSON.parse(JSON.stringify(a${index}));\n`).join('');
    writeFileSync(join(root, 'a.js'), `${clone}try { a() } catch {}\n`);
    const { issues, summary, truncated } = await review({ target: root, type: 'all' });
    expect(issues).toHaveLength(200);
    expect(issues[0]).toMatchObject({ rule: 'empty-catch', line: 211 });
    expect({ total: summary.total, truncated }).toEqual({ total: 211, truncated: true });
  } finally {
    rmSync(root, { recursive: true });
  }
});

it('cuts a description that is too long to read', () => {
  const { description } = issueOf({ rule: 'missing-tests', severity: 'info', file: 'a', line: 1, description: 'x'.repeat(600) });
  expect(description).toHaveLength(500);
});
