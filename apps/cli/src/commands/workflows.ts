import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { WorkflowInput } from '@hivekeeper/contract';
import { HiveError } from '@hivekeeper/contract/hive-error';
import { readWorkflow } from '../inputs.ts';
import type { Session } from '../session.ts';
import { graphTree, mermaidText } from '../views/graph.ts';
import { tableText } from '../views/table.ts';
import { agoText, cutText } from '../views/words.ts';

const load = ({ terminal }: Session, file: string): Promise<WorkflowInput> => readWorkflow(resolve(terminal.workingDirectory, file));

/** `hive workflows validate <file>` */
export async function validateWorkflow(session: Session, file: string): Promise<void> {
  const definition = await load(session, file);
  const { issues } = await session.client.validateWorkflow(definition);
  if (issues.length > 0)
    throw new HiveError('WORKFLOW_INVALID', `${definition.name} has ${issues.length === 1 ? 'a fault' : `${issues.length} faults`}`, {
      issues,
    });
  session.output.show({ valid: true, name: definition.name }, () => `${definition.name} is valid.`, `hive workflows deploy ${file}`);
}

/** `hive workflows deploy <file>` */
export async function deployWorkflow(session: Session, file: string): Promise<void> {
  const workflow = await session.client.deployWorkflow(await load(session, file));
  session.output.show(workflow, () => `${workflow.name} is deployed as version ${workflow.version}.`, `hive run ${workflow.name} --watch`);
}

/** `hive workflows list` */
export async function listWorkflows({ client, output, terminal }: Session): Promise<void> {
  const workflows = await client.workflows();
  const nowMs = terminal.clock.nowMs();
  const rows = () =>
    workflows.map(({ name, version, status, definition, updatedAtMs }) => [
      name,
      String(version),
      status,
      String(definition.nodes.length),
      agoText(updatedAtMs, nowMs),
      cutText(definition.description ?? '', 60),
    ]);
  const table = () => tableText(['WORKFLOW', 'VERSION', 'STATUS', 'NODES', 'CHANGED', 'DESCRIPTION'], rows(), output.colors);
  if (workflows.length === 0) output.show(workflows, () => 'No workflows.', 'hive workflows deploy <file>');
  else output.show(workflows, table);
}

/** `hive workflows show <name>` */
export async function showWorkflow({ client, output }: Session, name: string, { revision }: { readonly revision?: string }): Promise<void> {
  const workflow = await client.workflow(name, revision === undefined ? {} : { version: Number(revision) });
  const { stringify } = await import('yaml');
  output.show(
    workflow,
    () => `${output.colors.dim(`# ${workflow.name}@${workflow.version}, ${workflow.status}`)}\n${stringify(workflow.definition).trimEnd()}`,
  );
}

/** `hive workflows graph <file|name>` */
export async function graphWorkflow(session: Session, source: string, { format }: { readonly format?: string }): Promise<void> {
  const isFile = existsSync(resolve(session.terminal.workingDirectory, source));
  const definition = isFile ? await load(session, source) : (await session.client.workflow(source)).definition;
  const pictures = { tree: graphTree(definition), mermaid: mermaidText(definition) };
  session.output.show({ name: definition.name, ...pictures }, () =>
    format === 'tree' || format === 'mermaid' ? pictures[format] : `${pictures.tree}\n\n${pictures.mermaid}`,
  );
}
