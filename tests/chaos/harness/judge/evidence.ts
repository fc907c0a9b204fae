import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunEvent, RunId, RunStatus, TenantId, WorkflowDefinition, WorkflowId } from '@hivekeeper/contract';
import type postgres from 'postgres';
import { createExpressions, type LiveRuns, LiveRuns as Runs } from '../../../../apps/control/src/flow/runs/index.ts';

/** A run as the database has it, and as folding its journal gives it. */
export interface JudgedRun {
  readonly id: RunId;
  readonly workflow: string;
  /** What its client called it. */
  readonly key: string;
  readonly status: RunStatus;
  readonly errorCode: string | undefined;
  readonly trigger: string;
  readonly originRunId: string | undefined;
  readonly wakeAtMs: number | undefined;
  readonly versions: readonly number[];
  readonly events: readonly RunEvent[];
  readonly folded: ReturnType<LiveRuns['fold']>;
  /** `node item attempt` of each execution, as the agents wrote it down. */
  readonly executions: readonly string[];
}

interface RunRow {
  readonly id: RunId;
  readonly tenant_id: TenantId;
  readonly workflow_id: WorkflowId;
  readonly workflow_version: number;
  readonly name: string;
  readonly definition: WorkflowDefinition;
  readonly status: RunStatus;
  readonly trigger: string;
  readonly origin_run_id: string | null;
  readonly wake_at: Date | null;
  readonly error: { readonly code: string } | null;
}

/** Reads every run, its journal and its executions. */
export async function readRuns(sql: postgres.Sql, executions: string): Promise<readonly JudgedRun[]> {
  const rows = await sql<RunRow[]>`
    SELECT r.*, w.name, v.definition FROM runs r JOIN workflows w ON w.id = r.workflow_id
    JOIN workflow_versions v ON v.workflow_id = r.workflow_id AND v.version = r.workflow_version ORDER BY r.id`;
  const commits = await sql<{ run_id: string; version: number; events: RunEvent[] }[]>`
    SELECT run_id, version, events FROM run_journal ORDER BY run_id, version, transaction`;
  const byRun = Map.groupBy(commits, ({ run_id }) => run_id);
  const lines = await executionsIn(executions);
  // The code that has to agree with itself: what it stored, and what it makes of its own journal now. It never asks for the store.
  const runs = new Runs(undefined as never, createExpressions().evaluate, 1);
  return rows.map((row) => {
    const journal = byRun.get(row.id) ?? [];
    const events = journal.flatMap((commit) => commit.events);
    const { id: runId, tenant_id: tenantId, workflow_id: workflowId, workflow_version: workflowVersion, definition } = row;
    return {
      id: row.id,
      workflow: row.name,
      status: row.status,
      errorCode: row.error?.code,
      trigger: row.trigger,
      originRunId: row.origin_run_id ?? undefined,
      wakeAtMs: row.wake_at?.getTime(),
      versions: journal.map(({ version }) => version),
      events,
      key: keyOf(events),
      folded: runs.fold({
        runId,
        tenantId,
        workflowId,
        workflowVersion,
        definition,
        version: journal.length,
        commits: journal.map(({ events }) => events),
      }),
      executions: lines.get(row.id) ?? [],
    };
  });
}

const keyOf = ([first]: readonly RunEvent[]): string => (first?.type === 'run.created' ? String(first.context['key']) : '');

async function executionsIn(directory: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const names = (await readdir(directory)).filter((name) => name.startsWith('run_'));
  const files = await Promise.all(
    names.map(async (name) => [name, (await readFile(join(directory, name), 'utf8')).split('\n').filter(Boolean)] as const),
  );
  return new Map(files);
}
