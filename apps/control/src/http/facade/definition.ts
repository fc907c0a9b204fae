import { HiveError, type Issue, type WorkflowDefinition, workflowDefinitionSchema, type WorkflowInput } from '@hivekeeper/contract';
import type { CreateWorkflow, FacadeNode } from './schemas.ts';

const reservedIds = new Set(['context', 'nodes', 'item', 'run', 'constructor', 'prototype']);

/**
 * A workflow as CommandCenter's clients write it, as ours. A node's id becomes its symbolic id, so that templates can
 * name it. @throws HiveError WORKFLOW_INVALID, UNKNOWN_AGENT naming the nodes.
 */
export function definitionOf(body: CreateWorkflow, agentNames: ReadonlyMap<string, string>): WorkflowDefinition {
  const symbols = body.nodes.map((node, index) => node._symbolicId ?? `node-${index}`);
  const ids = symbols.map(nodeIdOf);
  refuse('WORKFLOW_INVALID', twinsIn(symbols, ids));
  refuse('UNKNOWN_AGENT', unknownAgentsIn(body.nodes, symbols, agentNames));
  const idBySymbol = new Map([
    ...ids.map((id, index) => [`node-${index}`, id] as const),
    ...symbols.map((symbol, index) => [symbol, ids[index] ?? symbol] as const),
  ]);
  refuse('WORKFLOW_INVALID', unresolvedIn(body.nodes, symbols, idBySymbol));
  const input: WorkflowInput = {
    name: body.name,
    trigger: body.trigger,
    ...(typeof body.description === 'string' && { description: body.description }),
    nodes: body.nodes.map((node, index) => ({
      id: ids[index] ?? '',
      agent: agentNames.get(node.agentId) ?? '',
      action: node.action,
      input: node.inputsJson,
      needs: [...new Set(node.dependsOn.map((symbol) => idBySymbol.get(symbol) ?? ''))],
      ...(node.approvalRequired && { approval: true }),
    })),
  };
  return workflowDefinitionSchema.parse(input);
}

/** A symbolic id as a node id: other characters become `_`, and it starts with a letter. */
export function nodeIdOf(symbol: string): string {
  const text = symbol.replaceAll(/[^A-Za-z0-9_-]/g, '_');
  const id = (/^[A-Za-z]/.test(text) ? text : `n_${text}`).slice(0, 64);
  return reservedIds.has(id) ? `${id}_` : id;
}

function twinsIn(symbols: readonly string[], ids: readonly string[]): Issue[] {
  const firstAt = new Map<string, number>();
  return ids.flatMap((id, index) => {
    const first = firstAt.get(id);
    if (first === undefined) firstAt.set(id, index);
    return first === undefined
      ? []
      : [{ path: `/nodes/${index}/_symbolicId`, message: `node "${symbols[index]}" has the same id as node "${symbols[first]}"` }];
  });
}

const unknownAgentsIn = (nodes: readonly FacadeNode[], symbols: readonly string[], agentNames: ReadonlyMap<string, string>): Issue[] =>
  nodes.flatMap(({ agentId }, index) =>
    agentNames.has(agentId)
      ? []
      : [{ path: `/nodes/${index}/agentId`, message: `node "${symbols[index]}" names agent ${agentId}, which is not registered` }],
  );

const unresolvedIn = (nodes: readonly FacadeNode[], symbols: readonly string[], idBySymbol: ReadonlyMap<string, string>): Issue[] =>
  nodes.flatMap(({ dependsOn }, index) =>
    dependsOn.flatMap((symbol, at) =>
      idBySymbol.has(symbol)
        ? []
        : [
            {
              path: `/nodes/${index}/dependsOn/${at}`,
              message: `node "${symbols[index]}" depends on "${symbol}", which is no node of this workflow`,
            },
          ],
    ),
  );

function refuse(code: 'WORKFLOW_INVALID' | 'UNKNOWN_AGENT', issues: readonly Issue[]): void {
  if (issues.length > 0) throw new HiveError(code, issues[0]?.message, { issues: issues.slice(0, 50) });
}
