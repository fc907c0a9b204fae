import { describe, expect, it } from 'vitest';
import { defineWorkflow } from './index.ts';

describe('defineWorkflow', () => {
  it('gives the workflow back with its defaults', () => {
    const workflow = defineWorkflow({ name: 'nightly', nodes: [{ id: 'scan', agent: 'security-scanner' }] });
    expect(workflow).toMatchObject({
      name: 'nightly',
      priority: 0,
      nodes: [{ id: 'scan', needs: [], input: {}, timeoutMs: 300_000, onFailure: 'fail' }],
    });
  });

  it('names every fault by its JSON pointer', () => {
    const define = () =>
      defineWorkflow({
        name: '-',
        nodes: [
          { id: 'scan', agent: 'a', timeoutMs: 1 },
          { id: 'item', agent: 'a' },
        ],
      });
    expect(define).toThrow(expect.objectContaining({ code: 'WORKFLOW_INVALID', message: 'the workflow has 3 faults' }));
    expect(define).toThrow(
      expect.objectContaining({
        issues: [
          expect.objectContaining({ path: '/name' }),
          expect.objectContaining({ path: '/nodes/0/timeoutMs' }),
          { path: '/nodes/1/id', message: 'this word is reserved' },
        ],
      }),
    );
  });

  it('refuses fields that no workflow has', () => {
    const misspelt = { name: 'w', nodes: [{ id: 'a', agent: 'b', need: [] }] };
    expect(() => defineWorkflow(misspelt)).toThrow(
      expect.objectContaining({ issues: [{ path: '/nodes/0', message: 'Unrecognized key: "need"' }] }),
    );
  });
});
