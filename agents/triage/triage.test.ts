import { describe, expect, it } from 'vitest';
import { triageInputSchema } from './input.ts';
import { type Triage, triage } from './triage.ts';

const triaged = (input: unknown): Triage => triage(triageInputSchema.parse(input));
const anyFinding = { type: 'xss', severity: 'high', file: 'src/a.ts', line: 3, description: 'unescaped', code: 'x.innerHTML = y' };
const finding = (over: object = {}): object => ({ ...anyFinding, ...over });
const anyIssue = { type: 'quality', severity: 'warning', file: 'src/b.ts', line: 9, rule: 'long-function', description: 'too long' };
const issue = (over: object = {}): object => ({ ...anyIssue, ...over });
const violation = (over: object = {}): object => ({
  rule: 'license-file-missing',
  severity: 'warning',
  file: 'LICENSE',
  message: 'none',
  ...over,
});
const all = (findings: object[], issues: object[], violations: object[]): object => ({
  security: { findings, scannedFiles: 7 },
  review: { issues, summary: { filesReviewed: 5 } },
  compliance: { violations, checkedFiles: 3 },
});

describe('one list of three', () => {
  it('speaks one vocabulary and sorts by severity, then file, then line', () => {
    const { findings } = triaged(
      all(
        [finding({ severity: 'low' }), finding({ type: 'sql-injection', severity: 'critical', file: 'z.ts' })],
        [issue({ severity: 'error' }), issue({ file: 'src/a.ts' })],
        [violation()],
      ),
    );
    expect(findings.map(({ severity, source, rule, file, line }) => [severity, source, rule, file, line])).toEqual([
      ['critical', 'security', 'sql-injection', 'z.ts', 3],
      ['high', 'review', 'long-function', 'src/b.ts', 9],
      ['medium', 'compliance', 'license-file-missing', 'LICENSE', undefined],
      ['medium', 'review', 'long-function', 'src/a.ts', 9],
      ['low', 'security', 'xss', 'src/a.ts', 3],
    ]);
  });

  it('sums by severity, by source and by file, and says what was examined', () => {
    const { summary, coverage } = triaged(all([finding()], [issue(), issue({ line: 1 })], []));
    expect(summary).toEqual({
      total: 3,
      bySeverity: { critical: 0, high: 1, medium: 2, low: 0, info: 0 },
      bySource: { security: 1, review: 2, compliance: 0 },
      filesAffected: 2,
    });
    expect(coverage).toEqual([
      { source: 'security', ran: true, files: 7 },
      { source: 'review', ran: true, files: 5 },
      { source: 'compliance', ran: true, files: 3 },
    ]);
  });

  it('is not clean where a scanner could not look everywhere', () => {
    const input = all([], [], []);
    expect(triaged(input).verdict).toBe('clean');
    const partly = triaged({ ...input, security: { findings: [], scannedFiles: 7, summary: { skipped: 2 } } });
    expect([partly.verdict, partly.coverage[0]]).toEqual(['attention', { source: 'security', ran: true, files: 7, skipped: 2 }]);
  });

  it('gives ids that outlast a moved line and differ between equal findings in one file', () => {
    const before = triaged(all([finding(), finding({ line: 8 })], [], [])).findings.map(({ id }) => id);
    const after = triaged(all([finding({ line: 30 }), finding({ line: 80 })], [], [])).findings.map(({ id }) => id);
    expect(after).toEqual(before);
    expect(new Set(before).size).toBe(2);
  });
});

describe('what means the same', () => {
  it('drops a report that one scanner made twice', () => {
    expect(triaged(all([finding(), finding()], [], [])).findings).toHaveLength(1);
  });

  it('merges two scanners that mean the same fault on one line, with the worst severity', () => {
    const same = issue({ file: 'src/a.ts', line: 3, rule: 'noInnerHtml', severity: 'error', suggestion: 'use textContent' });
    const merged = {
      source: 'security',
      rule: 'xss',
      severity: 'high',
      message: 'unescaped',
      remediation: 'use textContent',
      alsoReportedBy: ['review'],
    };
    expect(triaged(all([finding({ severity: 'medium' })], [same], [])).findings).toMatchObject([merged]);
  });

  it('merges a whole-file report into the line that another scanner found', () => {
    const wholeFile = violation({ rule: 'secret-env-file', severity: 'critical', file: '.env' });
    const { findings } = triaged(all([finding({ type: 'secrets', file: '.env', line: 2 })], [], [wholeFile]));
    expect(findings).toMatchObject([{ source: 'security', severity: 'critical', file: '.env', line: 2, alsoReportedBy: ['compliance'] }]);
  });

  it('keeps different faults on one line apart', () => {
    expect(triaged(all([finding()], [issue({ file: 'src/a.ts', line: 3 })], [])).findings).toHaveLength(2);
  });

  it('stays quick where a generated file has ten thousand findings', () => {
    const many = Array.from({ length: 10_000 }, (_, index) => finding({ line: index + 1 }));
    const others = Array.from({ length: 10_000 }, (_, index) => issue({ file: 'src/a.ts', line: index + 1, rule: 'xss' }));
    expect(triaged(all(many, others, [])).summary.total).toBe(10_000);
  });

  it('keeps the same fault in two files apart', () => {
    expect(triaged(all([finding()], [issue({ rule: 'xss', line: 3 })], [])).findings).toHaveLength(2);
  });
});

describe('the verdict', () => {
  it.each([
    ['clean', all([], [], [])],
    ['clean', all([], [issue({ severity: 'info' })], [])],
    ['attention', all([], [issue()], [])],
    ['attention', { ...all([], [], []), review: null }],
    ['critical', all([], [], [violation({ severity: 'critical' })])],
  ])('is %s', (verdict, input) => {
    expect(triaged(input).verdict).toBe(verdict);
  });

  it('is not given where no scanner ran', () => {
    expect(triageInputSchema.safeParse({ security: null, review: null }).error?.issues[0]?.message).toMatch(/nothing to triage/);
  });
});
