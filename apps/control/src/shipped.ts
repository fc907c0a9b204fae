import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultTenantId, HiveError, workflowDefinitionSchema } from '@hivekeeper/contract';
import { retry } from '@hivekeeper/kernel';
import { parse } from 'yaml';
import { registerCanaries } from './flow/health/index.ts';
import type { Services } from './http/services.ts';

/**
 * Registers the agents and workflows that come with the product, canaries among them, or brings them up to this version. Idempotent, also
 * where another control plane does the same on a new database at the same time.
 */
export function registerShipped(services: Pick<Services, 'agents' | 'workflows'>, productDirectory: string): Promise<void> {
  const isOvertaken = (error: unknown) => HiveError.is(error) && error.code === 'ALREADY_EXISTS';
  return retry(() => register(services, productDirectory), { maxAttempts: 10, minDelayMs: 50, maxDelayMs: 500, isRetryable: isOvertaken });
}

async function register({ agents, workflows }: Pick<Services, 'agents' | 'workflows'>, productDirectory: string): Promise<void> {
  for (const entryPath of await manifestDirectories(join(productDirectory, 'agents'))) {
    await agents.ensure({ tenantId: defaultTenantId, entryPath, given: {}, by: 'platform' });
  }
  const directory = join(productDirectory, 'workflows');
  for (const file of (await readdir(directory)).filter((name) => name.endsWith('.yaml')).sort()) {
    const parsed = workflowDefinitionSchema.safeParse(parse(await readFile(join(directory, file), 'utf8')));
    if (!parsed.success) throw new HiveError('WORKFLOW_INVALID', `${file}: ${parsed.error.issues[0]?.message}`);
    await workflows.deploy({ tenantId: defaultTenantId, definition: parsed.data, by: 'platform' });
  }
  await registerCanaries({ agents, workflows }, join(productDirectory, 'agents/canary'));
}

async function manifestDirectories(directory: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of (await readdir(directory)).sort()) {
    const path = join(directory, name);
    if ((await stat(join(path, 'agent.json')).catch(() => undefined))?.isFile() === true) found.push(path);
  }
  return found;
}
