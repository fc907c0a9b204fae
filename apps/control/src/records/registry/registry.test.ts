import { type AgentId, type AgentSpec, agentManifestSchema, defaultTenantId, HiveError, type WorkflowId } from '@hivekeeper/contract';
import { beforeEach, describe, expect, it } from 'vitest';
import { AgentRegistry } from './agents.ts';
import type { RegistryStore, StoredAgent, StoredWorkflow } from './registry-store.ts';
import { WorkflowRegistry } from './workflows.ts';

const specOf = (name: string, version = '1.0.0'): AgentSpec => ({ ...agentManifestSchema.parse({ name, version }), trust: 'untrusted' });
const storedOf = (spec: AgentSpec): StoredAgent => ({
  id: `agt_${spec.name}` as AgentId,
  tenantId: defaultTenantId,
  projectId: 1,
  spec,
  name: spec.name,
  version: spec.version,
  trust: spec.trust,
  riskLevel: spec.riskLevel,
  registeredAtMs: 0,
  updatedAtMs: 0,
  versions: {},
  rollouts: [],
});

let rows: Map<string, StoredAgent>;
let users: string[];
/** What the next reads of all agents answer, when the test says so. */
let reads: { readonly answer: (agents: readonly StoredAgent[]) => void }[];
let isHeld: boolean;
/** What the files say besides name and version. */
let manifest: Partial<AgentSpec>;
let agents: AgentRegistry;

beforeEach(() => {
  [rows, users, reads, isHeld, manifest] = [new Map(), [], [], false, {}];
  const put = (spec: AgentSpec) => {
    const agent = storedOf(spec);
    rows.set(spec.name, agent);
    return agent;
  };
  const store = {
    allAgents: () =>
      isHeld ? new Promise<readonly StoredAgent[]>((answer) => reads.push({ answer })) : Promise.resolve([...rows.values()]),
    agent: async (_tenantId, reference) =>
      [...rows.values()].find(({ id, name }) => ('id' in reference ? id === reference.id : name === reference.name)),
    addAgent: async ({ spec }) => put(spec),
    updateAgent: async ({ spec }) => put(spec),
    removeAgent: async (_tenantId, id) => rows.delete(id.slice(4)),
    workflowsUsing: async () => users,
  } as Partial<RegistryStore> as RegistryStore;
  const files = { read: async (path: string, given: Partial<AgentSpec>) => ({ ...specOf(path.slice(1)), ...manifest, ...given }) };
  agents = new AgentRegistry({ store, files, newId: () => 'agt_x' as AgentId });
});

const register = (name: string) => agents.register({ tenantId: defaultTenantId, entryPath: `/${name}`, given: {}, by: 'test' });
const known = (name: string) => agents.specOf(defaultTenantId, name)?.version;

describe('the agents in memory', () => {
  it('are those registered here, and those read', async () => {
    await register('mine');
    rows.set('theirs', storedOf(specOf('theirs')));
    expect([known('mine'), known('theirs')]).toEqual(['1.0.0', undefined]);
    await agents.refresh();
    expect([known('mine'), known('theirs')]).toEqual(['1.0.0', '1.0.0']);
  });

  it('do not go back to what an older read found', async () => {
    isHeld = true;
    const [older, newer] = [agents.refresh(), agents.refresh()];
    reads[1]?.answer([storedOf(specOf('a', '2.0.0'))]);
    await newer;
    reads[0]?.answer([storedOf(specOf('a', '1.0.0'))]);
    await older;
    expect(known('a')).toBe('2.0.0');
  });

  it('keep what was registered while they were read', async () => {
    isHeld = true;
    const refresh = agents.refresh();
    await register('fresh');
    reads[0]?.answer([]);
    await refresh;
    expect(known('fresh')).toBe('1.0.0');
  });

  it('lose one that is removed, unless a workflow uses it', async () => {
    await register('a');
    users = ['nightly'];
    await expect(agents.remove(defaultTenantId, { name: 'a' }, 'test')).rejects.toMatchObject({ code: 'STILL_IN_USE' });
    expect(known('a')).toBe('1.0.0');
    users = [];
    await agents.remove(defaultTenantId, { name: 'a' }, 'test');
    expect(known('a')).toBeUndefined();
  });

  it('ask first in all they do where whoever registers them says so, unless capabilities are named too', async () => {
    const given = { riskLevel: 'APPROVAL_REQUIRED' } as const;
    const told = async (more: Partial<AgentSpec> = {}) =>
      (await agents.ensure({ tenantId: defaultTenantId, entryPath: '/a', given: { ...given, ...more }, by: 'test' })).spec.capabilities;
    manifest = { riskLevel: 'APPROVAL_REQUIRED', capabilities: [{ name: 'look', riskLevel: 'AUTO' }] };
    expect((await register('b')).spec.capabilities).toEqual([{ name: 'look', riskLevel: 'AUTO' }]);
    expect(await told()).toEqual([{ name: 'look' }]);
    expect(await told({ capabilities: manifest.capabilities ?? [] })).toEqual([{ name: 'look', riskLevel: 'AUTO' }]);
  });

  it('keep the risk they were given when their files are read again, and take a new one', async () => {
    await register('a');
    const update = async (change: { entryPath?: string; given: Partial<AgentSpec> }) =>
      (await agents.update({ tenantId: defaultTenantId, id: 'agt_a' as AgentId, by: 'test', ...change })).spec;
    expect(await update({ given: { riskLevel: 'APPROVAL_REQUIRED' } })).toMatchObject({ riskLevel: 'APPROVAL_REQUIRED' });
    manifest = { capabilities: [{ name: 'look', riskLevel: 'AUTO' }] };
    const again = await update({ entryPath: '/elsewhere', given: {} });
    expect(again).toMatchObject({ name: 'a', riskLevel: 'APPROVAL_REQUIRED', capabilities: [{ name: 'look' }] });
    expect(again.capabilities[0]).toEqual({ name: 'look' });
    expect(await update({ entryPath: '/elsewhere', given: { riskLevel: 'AUTO' } })).toMatchObject({ riskLevel: 'AUTO' });
  });

  it('still ask before what asks by itself when their own level was raised and lowered again', async () => {
    manifest = { capabilities: [{ name: 'mend', riskLevel: 'APPROVAL_REQUIRED' }] };
    await register('a');
    for (const riskLevel of ['APPROVAL_REQUIRED', 'AUTO'] as const)
      await agents.update({ tenantId: defaultTenantId, id: 'agt_a' as AgentId, given: { riskLevel }, by: 'test' });
    expect(agents.specOf(defaultTenantId, 'a')).toMatchObject({ riskLevel: 'AUTO', capabilities: manifest.capabilities });
  });

  it('are brought up to their files, and left alone where nothing changed', async () => {
    const ensure = (version: string) => agents.ensure({ tenantId: defaultTenantId, entryPath: '/a', given: { version }, by: 'test' });
    const first = await ensure('1.0.0');
    expect(await ensure('1.0.0')).toBe(first);
    await ensure('1.1.0');
    expect(known('a')).toBe('1.1.0');
  });
});

const workflowOf = (version: number): StoredWorkflow => ({
  id: 'wfl_1' as WorkflowId,
  tenantId: defaultTenantId,
  projectId: 1,
  name: 'w',
  version,
  status: 'ACTIVE',
  definition: {} as StoredWorkflow['definition'],
  createdAtMs: 0,
  updatedAtMs: 0,
});

describe('the latest version of a workflow', () => {
  let answers: ((workflow: StoredWorkflow | undefined) => void)[];
  let workflows: WorkflowRegistry;
  const latest = () => workflows.latest(defaultTenantId, { name: 'w' });

  beforeEach(() => {
    answers = [];
    const store = {
      workflow: () => new Promise<StoredWorkflow | undefined>((resolve) => answers.push(resolve)),
    } as Partial<RegistryStore> as RegistryStore;
    workflows = new WorkflowRegistry({ store, check: () => [], newId: () => 'wfl_1' as WorkflowId });
  });

  it('is read once, and again after a change', async () => {
    const first = latest();
    answers[0]?.(workflowOf(1));
    expect([(await first).version, (await latest()).version, answers.length]).toEqual([1, 1, 1]);
    workflows.refresh();
    const second = latest();
    answers[1]?.(workflowOf(2));
    expect((await second).version).toBe(2);
  });

  it('is not kept where it changed while it was read', async () => {
    const stale = latest();
    workflows.refresh();
    answers[0]?.(workflowOf(1));
    await stale;
    const fresh = latest();
    answers[1]?.(workflowOf(2));
    expect((await fresh).version).toBe(2);
  });

  it('that does not exist is asked for every time', async () => {
    const absent = latest().catch((error: unknown) => (HiveError.is(error) ? error.code : error));
    answers[0]?.(undefined);
    expect(await absent).toBe('NOT_FOUND');
    void latest();
    expect(answers).toHaveLength(2);
  });
});
