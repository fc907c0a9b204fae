import type { RunView } from '@hivekeeper/contract';
import pc from 'picocolors';
import { describe, expect, it } from 'vitest';
import { type BoardEvent, boardOf, boardText, foldEvent } from './board.ts';
import { findingsText, reviewOf } from './findings.ts';
import { graphTree, mermaidText } from './graph.ts';
import { tableText } from './table.ts';
import { agoText, cutText, durationText } from './words.ts';

const colors = pc.createColors(false);

describe('words', () => {
  it.each([
    [-5, '0.0 s'],
    [840, '0.8 s'],
    [9_940, '9.9 s'],
    [9_960, '10 s'],
    [59_400, '59 s'],
    [59_600, '1 min 0 s'],
    [200_000, '3 min 20 s'],
    [18_120_000, '5 h 2 min'],
  ])('%i ms is %s', (durationMs, text) => {
    expect(durationText(durationMs)).toBe(text);
  });

  it.each([
    [500, 'now'],
    [59_000, '59 s ago'],
    [60_000, '1 min ago'],
    [7_200_000, '2 h ago'],
    [90_000_000, '1 d ago'],
  ])('%i ms before now is %s', (agoMs, text) => {
    expect(agoText(1_000_000_000 - agoMs, 1_000_000_000)).toBe(text);
  });

  it('a text is one line, cut with an ellipsis', () => {
    expect(cutText('a\n  b', 10)).toBe('a b');
    expect(cutText('abcdef', 4)).toBe('abc…');
  });
});

describe('a table', () => {
  it('aligns its columns, has no frame, and ends no line with blanks', () => {
    expect(
      tableText(
        ['A', 'LONG'],
        [
          ['wide cell', 'x'],
          ['b', ''],
        ],
        colors,
      ),
    ).toBe('A          LONG\nwide cell  x\nb');
  });
});

const node = (id: string, rest: object = {}) => ({ id, agent: `agent-${id}`, needs: [], status: 'PENDING', attempts: [], ...rest });
const runOf = (...nodes: object[]) => ({ nodes }) as unknown as RunView;
const board = (events: readonly object[], ...ids: string[]) =>
  events.reduce<ReturnType<typeof boardOf>>(
    (folded, event) => foldEvent(folded, event as BoardEvent),
    boardOf(runOf(...ids.map((id) => node(id)))),
  );
const textOf = (events: readonly object[], ...ids: string[]) =>
  boardText(board(events, ...ids), { nowMs: 3_000, colors, widthColumns: 80, maxRows: 5 }).split('\n');

describe('the board of a run', () => {
  it('shows each node with its state, its time and its last word', () => {
    const events = [
      { type: 'node.started', atMs: 1_000, nodeId: 'a', slotCount: 1 },
      { type: 'node.finished', atMs: 1_500, nodeId: 'a', status: 'SUCCESS', durationMs: 500 },
      { type: 'node.started', atMs: 1_500, nodeId: 'bb', slotCount: 1 },
      {
        type: 'attempt.progressed',
        atMs: 2_000,
        nodeId: 'bb',
        slot: 0,
        attempt: 1,
        ticketId: 'tkt_1',
        progress: { message: '4 of 9 files' },
      },
      {
        type: 'node.finished',
        atMs: 2_000,
        nodeId: 'c',
        status: 'FAILED',
        durationMs: 300,
        error: { code: 'AGENT_FAILED', message: 'exit 1' },
      },
      { type: 'approval.requested', atMs: 2_000, nodeId: 'd', approvalId: 'apr_1', expiresAtMs: 9_000 },
    ];
    expect(textOf(events, 'a', 'bb', 'c', 'd', 'e')).toEqual([
      '  ✔ a      0.5 s  agent-a',
      '  ⠧ bb     1.5 s  4 of 9 files',
      '  ✖ c      0.3 s  AGENT_FAILED: exit 1',
      '  ? d             waits for approval: hive approvals',
      '  · e             agent-e',
    ]);
  });

  it('says which attempt is running after a failure', () => {
    const events = [
      { type: 'node.started', atMs: 0, nodeId: 'a', slotCount: 1 },
      { type: 'attempt.failed', atMs: 1_000, nodeId: 'a', slot: 0, attempt: 1, error: { code: 'NODE_TIMED_OUT', message: 'slow' } },
      { type: 'ticket.issued', atMs: 2_000, nodeId: 'a', slot: 0, attempt: 2, ticketId: 'tkt_1' },
    ];
    expect(textOf(events, 'a')[0]).toContain('attempt 2; NODE_TIMED_OUT; agent-a');
  });

  it('shows what is at work first where there are more nodes than lines', () => {
    const ids = Array.from({ length: 8 }, (_, index) => `n${index}`);
    const lines = textOf([{ type: 'node.started', atMs: 0, nodeId: 'n7', slotCount: 1 }], ...ids);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain('n7');
    expect(lines[1]).toBe('  and 7 more nodes, 7 of them waiting or done');
  });

  it('does not change for a node it does not know', () => {
    const before = board([], 'a');
    expect(foldEvent(before, { type: 'node.started', atMs: 0, nodeId: 'zz', slotCount: 1 })).toBe(before);
  });
});

describe('the tree of a workflow', () => {
  it('says where a node is done and whom it waits for, as the picture does', () => {
    const nodes = [
      { id: 'a', agent: '2/x', action: 'do', requires: ['gpu', 'eu'], approval: true },
      { id: 'b', agent: 'x', needs: ['a'] },
    ];
    expect(graphTree({ name: 'w', nodes })).toBe('w\n└─ a  2/x.do  (after approval; on gpu, eu)\n   └─ b  x');
    expect(mermaidText({ name: 'w', nodes })).toContain('n0{{"a<br/>2/x.do<br/>on gpu, eu"}}');
  });

  it('names what is never reached', () => {
    const nodes = [
      { id: 'a', agent: 'x' },
      { id: 'b', agent: 'x', needs: ['c'] },
      { id: 'c', agent: 'x', needs: ['b'] },
      { id: 'd', agent: 'x', needs: ['nobody'] },
    ];
    expect(graphTree({ name: 'w', nodes })).toBe('w\n└─ a  x\nnever reached (a cycle, or an unknown node): b, c, d');
  });

  it('is drawn for a chain of 10,000 nodes', () => {
    const nodes = Array.from({ length: 10_000 }, (_, index) => ({
      id: `n${index}`,
      agent: 'x',
      needs: index === 0 ? [] : [`n${index - 1}`],
    }));
    expect(graphTree({ name: 'w', nodes }).split('\n')).toHaveLength(10_001);
  });
});

describe('the findings of a review', () => {
  const findings = [
    { severity: 'low', file: 'a.ts', line: 3, rule: 'size', message: 'long' },
    { severity: 'critical', file: 'b.ts', line: 1, rule: 'secret', message: 'a key' },
    { severity: 'low', file: 'package.json', rule: 'licence', message: 'unknown' },
  ] as const;

  it('are told worst first, with their place, and the rest is counted', () => {
    expect(findingsText(findings, { colors, widthColumns: 80, maxShown: 2 })).toBe(`3 findings: 1 critical, 2 low
  critical  b.ts:1  secret
            a key
  low       a.ts:3  size
            long
  and 1 more in the report`);
  });

  it('may be none', () => {
    expect(findingsText([], { colors, widthColumns: 80, maxShown: 2 })).toBe('No findings.');
  });

  it('are read from the nodes triage and report, and missing where those did not run', () => {
    const run = runOf(node('triage', { output: { findings } }), node('report', { output: { markdownPath: '/r.md', htmlPath: '/r.html' } }));
    expect(reviewOf(run)).toEqual({ findings, reports: ['/r.md', '/r.html'] });
    expect(reviewOf(runOf(node('triage'), node('report', { output: null })))).toEqual({ findings: [], reports: [] });
  });
});
