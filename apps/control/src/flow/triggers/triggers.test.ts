import { defaultTenantId, HiveError, type JsonObject, type RunId, type RunStatus, type WorkflowId } from '@hivekeeper/contract';
import { beforeEach, describe, expect, it } from 'vitest';
import type { StoredWorkflow, WorkflowRegistry } from '../../records/registry/index.ts';
import type { NewRun, Runs, RunStore } from '../runs/index.ts';
import { Triggers } from './triggers.ts';

const definition = { name: 'w', nodes: [{ id: 'n', agent: 'noop' }] } as unknown as StoredWorkflow['definition'];
let workflow: StoredWorkflow;
let started: NewRun[];
let keys: Map<string, { runId: RunId; bodySha256: string }>;
let status: RunStatus;
let triggers: Triggers;

beforeEach(() => {
  workflow = {
    id: 'wfl_1' as WorkflowId,
    tenantId: defaultTenantId,
    projectId: 1,
    name: 'w',
    version: 3,
    status: 'ACTIVE',
    definition,
    createdAtMs: 0,
    updatedAtMs: 0,
  };
  [started, keys, status] = [[], new Map(), 'FAILED'];
  const runs = { start } as unknown as Runs;
  const store = {
    findByKey: async (_tenantId: string, route: string, key: string) => keys.get(`${route} ${key}`),
    summary: async () => ({ status, workflowVersion: 3 }),
    load: async (runId: string) =>
      runId === 'run_1'
        ? {
            tenantId: defaultTenantId,
            workflowId: workflow.id,
            workflowVersion: 2,
            definition,
            commits: [[{ type: 'run.created', atMs: 1, context: { a: 1 } }]],
          }
        : undefined,
  } as unknown as RunStore;
  triggers = new Triggers({ runs, store, workflows: { latest: async () => workflow } as unknown as WorkflowRegistry });
});

async function start(run: NewRun): Promise<RunId> {
  const runId = `run_${started.length + 1}` as RunId;
  if (run.idempotency !== undefined) {
    const { route, key, bodySha256 } = run.idempotency;
    if (keys.has(`${route} ${key}`)) throw new HiveError('IDEMPOTENCY_KEY_REUSED');
    keys.set(`${route} ${key}`, { runId, bodySha256 });
  }
  started.push(run);
  return runId;
}

const fire = (context: JsonObject = {}, key?: string) =>
  triggers.fire({
    tenantId: defaultTenantId,
    workflow: { name: 'w' },
    context,
    kind: 'api',
    by: 'test',
    ...(key !== undefined && { idempotency: { route: 'r', key } }),
  });

describe('a trigger', () => {
  it('starts a run of the latest version with its context', async () => {
    expect(await fire({ a: 1 })).toEqual({ runId: 'run_1', workflowVersion: 3, isReplay: false });
    expect(started[0]).toMatchObject({ workflowId: workflow.id, workflowVersion: 3, context: { a: 1 }, trigger: 'api', by: 'test' });
    expect(started[0]).not.toHaveProperty('idempotency');
  });

  it('of a workflow that is not active is refused', async () => {
    workflow = { ...workflow, status: 'ARCHIVED' };
    await expect(fire()).rejects.toMatchObject({ code: 'WORKFLOW_NOT_ACTIVE' });
  });

  it('without a key starts a run each time', async () => {
    await Promise.all([fire(), fire()]);
    expect(started).toHaveLength(2);
  });
});

describe('a trigger with an idempotency key', () => {
  it('gives the same run for the same body, in whatever order its keys come, also when the workflow was archived since', async () => {
    await fire({ a: 1, b: { c: 1, d: [1, 2] } }, 'k');
    workflow = { ...workflow, status: 'ARCHIVED', version: 4 };
    expect(await fire({ b: { d: [1, 2], c: 1 }, a: 1 }, 'k')).toEqual({ runId: 'run_1', workflowVersion: 3, isReplay: true });
    expect(started).toHaveLength(1);
  });

  it.each([{ a: 2 }, { a: 1, b: null }, {}, { a: [1] }])('is refused for another body: %j', async (context) => {
    await fire({ a: 1 }, 'k');
    await expect(fire(context, 'k')).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
  });

  it('is refused for another workflow', async () => {
    await fire({}, 'k');
    workflow = { ...workflow, id: 'wfl_2' as WorkflowId };
    await expect(fire({}, 'k')).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
  });

  it('that loses the race against its twin finds the twin’s run', async () => {
    const results = await Promise.all([fire({ a: 1 }, 'k'), fire({ a: 1 }, 'k')]);
    expect(results.map(({ runId, isReplay }) => [runId, isReplay])).toEqual([
      ['run_1', false],
      ['run_1', true],
    ]);
    expect(started).toHaveLength(1);
  });
});

describe('a retry', () => {
  const retry = (runId: string, key?: string) =>
    triggers.rerun({
      tenantId: defaultTenantId,
      runId: runId as RunId,
      rerun: { kind: 'retry', from: 'start' },
      by: 'test',
      ...(key !== undefined && { idempotency: { route: 'retry', key } }),
    });

  it('runs the same version again with the same context, and names the run it repeats', async () => {
    await retry('run_1');
    expect(started[0]).toMatchObject({ workflowVersion: 2, context: { a: 1 }, originRunId: 'run_1', trigger: 'retry' });
  });

  it.each<RunStatus>(['SUCCESS', 'RUNNING', 'PENDING', 'WAITING_APPROVAL'])('of a run that is %s is refused', async (is) => {
    status = is;
    await expect(retry('run_1')).rejects.toMatchObject({ code: 'RUN_NOT_RETRYABLE' });
  });

  it('with a key starts one run, and is refused for another origin', async () => {
    await retry('run_1', 'k');
    status = 'RUNNING';
    expect(await retry('run_1', 'k')).toMatchObject({ runId: 'run_1', isReplay: true });
    await expect(retry('run_2', 'k')).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
    expect(started).toHaveLength(1);
  });

  it('of a run that does not exist is refused', async () => {
    await expect(retry('run_9')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
