import { createRequire } from 'node:module';
import type { WorkflowDefinition, WorkflowInput } from '@hivekeeper/contract';
import { HiveError, type Issue } from '@hivekeeper/contract/hive-error';

// Loaded on first use: every execution of an agent imports this package, and the schemas would double its start-up (measured: + 60 ms).
const loadContract = (): typeof import('@hivekeeper/contract') => createRequire(import.meta.url)('@hivekeeper/contract');

/**
 * A workflow written in TypeScript, checked where it is written: shape and ranges here; cycles, references and
 * expressions when it is validated or deployed. Returns it with its defaults filled in.
 * @throws HiveError WORKFLOW_INVALID, with one issue per fault
 */
export function defineWorkflow(input: WorkflowInput): WorkflowDefinition {
  const checked = loadContract().workflowDefinitionSchema.safeParse(input);
  if (checked.success) return checked.data;
  const issues = checked.error.issues.map(({ path, message }): Issue => ({ path: path.map((key) => `/${String(key)}`).join(''), message }));
  throw new HiveError('WORKFLOW_INVALID', `the workflow has ${issues.length === 1 ? 'a fault' : `${issues.length} faults`}`, { issues });
}
