import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import {
  type AgentSpec,
  agentManifestSchema,
  defaultTenantId,
  type LeasedTicket,
  type RunId,
  type TicketId,
  type WorkerId,
  type WorkflowInput,
  workflowDefinitionSchema,
} from '@hivekeeper/contract';
import { idMaker, newLog, systemClock, systemRandom } from '@hivekeeper/kernel';
import { openDatabase } from '../apps/control/src/adapters/postgres/index.ts';
import { startEngine, type Engine as ControlEngine } from '../apps/control/src/engine.ts';
import { startDatabase } from './harness/database.ts';
import type { Engine, EngineDefinition, EngineStart, Step } from './harness/engine.ts';

const agent: AgentSpec = { ...agentManifestSchema.parse({ name: 'no-op', version: '1.0.0', kind: 'builtin' }), trust: 'trusted' };
const credits = 1_000;

/** Nodes in a row, each needing the one before. */
const sequenceOf = (stepCount: number): WorkflowInput => ({
  name: `sequence-${stepCount}`,
  nodes: Array.from({ length: stepCount }, (_, index) => ({
    id: `n${index}`,
    agent: 'no-op',
    ...(index > 0 && { needs: [`n${index - 1}`] }),
  })),
});
/** Nodes that need nothing, and one that needs them all. */
const fanOutOf = (width: number): WorkflowInput => ({
  name: `fan-out-${width}`,
  nodes: [
    ...Array.from({ length: width }, (_, index) => ({ id: `n${index}`, agent: 'no-op' })),
    { id: 'join', agent: 'no-op', needs: Array.from({ length: width }, (_, index) => `n${index}`) },
  ],
});

async function start({ directory, step }: EngineStart): Promise<Engine> {
  const server = await startDatabase(directory);
  const log = newLog({ level: 'error', component: 'bench' });
  const database = await openDatabase({ url: server.appUrl, maxConnections: 8, log });
  const control = await startEngine({
    database,
    config: { leaseMs: 30_000, liveRuns: 5_000 },
    log,
    shippedDirectory: directory,
    backups: { directory: join(directory, 'backups'), productVersion: 'bench' },
    builtinAgents: [agent],
  });
  const executor = new WarmExecutor(control, step);
  const start = await starterOf(control);
  return {
    durability: server.durability,
    runSequence: async (stepCount) => executor.finished(await start(sequenceOf(stepCount)), stepCount),
    runFanOut: async (width) => executor.finished(await start(fanOutOf(width)), width + 1),
    stop: async () => {
      await control[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
      await server.stop();
    },
  };
}

/** Starts runs as a trigger without an idempotency key does; a workflow is deployed the first time it is used. */
async function starterOf({ services }: ControlEngine): Promise<(input: WorkflowInput) => Promise<RunId>> {
  const deployed = new Map<string, Promise<string>>();
  const deploy = async (input: WorkflowInput) =>
    (await services.workflows.deploy({ tenantId: defaultTenantId, definition: workflowDefinitionSchema.parse(input), by: 'bench' })).id;
  return async (input) => {
    const id = deployed.get(input.name) ?? deploy(input);
    deployed.set(input.name, id);
    const { runId } = await services.triggers.fire({
      tenantId: defaultTenantId,
      workflow: { id: await id },
      context: {},
      kind: 'api',
      by: 'bench',
    });
    return runId;
  };
}

/** A worker in the same process: takes leased tickets, runs the step, settles with the ticket's token. No HTTP. */
class WarmExecutor {
  readonly #control: ControlEngine;
  readonly #step: Step;
  readonly #workerId = idMaker(systemClock, systemRandom)('wrk') as WorkerId;
  readonly #settledCounts = new Map<RunId, number>();
  readonly #waiting = new Map<RunId, { readonly stepCount: number; readonly resolve: () => void }>();
  #held = 0;

  constructor(control: ControlEngine, step: Step) {
    this.#control = control;
    this.#step = step;
    control.services.desk.attach({
      workerId: this.#workerId,
      name: 'warm-executor',
      capabilities: ['builtin'],
      maxParallel: credits,
      isListening: true,
      deliver: (tickets) => this.#work(tickets),
      revoke: (_ticketIds: readonly TicketId[]) => {},
    });
    control.services.desk.setCredits(this.#workerId, credits);
  }

  /** Resolves when so many settlements of the run are stored: the last one is the run's end. */
  finished(runId: RunId, stepCount: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.set(runId, { stepCount, resolve });
      this.#tell(runId);
    });
  }

  #work(tickets: readonly LeasedTicket[]): void {
    this.#held += tickets.length;
    for (const ticket of tickets) void this.#settle(ticket);
  }

  async #settle({ ticketId, token, runId }: LeasedTicket): Promise<void> {
    this.#step();
    const settled = this.#control.services.runs.settle({
      workerId: this.#workerId,
      ticketId,
      token,
      outcome: { ok: true, output: { ok: true } },
    });
    this.#held -= 1;
    this.#control.services.desk.setCredits(this.#workerId, credits - this.#held);
    await settled;
    this.#settledCounts.set(runId, (this.#settledCounts.get(runId) ?? 0) + 1);
    this.#tell(runId);
  }

  #tell(runId: RunId): void {
    const waiting = this.#waiting.get(runId);
    if (waiting === undefined || this.#settledCounts.get(runId) !== waiting.stepCount) return;
    this.#waiting.delete(runId);
    this.#settledCounts.delete(runId);
    waiting.resolve();
  }
}

export const engine: EngineDefinition = {
  name: 'Hivekeeper',
  version: (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version,
  kind: 'workflows',
  isDurable: true,
  remark:
    'Warm executor in the control plane’s process, no HTTP. Every step leased with a fencing token, journalled (the outbox) and audited; each fan-out item is a node of its own.',
  start,
};
