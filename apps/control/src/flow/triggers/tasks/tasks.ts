import {
  type AgentSpec,
  defaultTenantId,
  HiveError,
  mqttAgentIdIn,
  mqttAgentName,
  type RunId,
  type WorkflowId,
} from '@hivekeeper/contract';
import { agentOfInputTopic, type Envelope, readEnvelope, taskKeyOf } from '@hivekeeper/contract/agent2389';
import type { Log } from '@hivekeeper/kernel';
import type { AgentRegistry, WorkflowRegistry } from '../../../records/registry/index.ts';
import type { Runs } from '../../runs/index.ts';
import type { Triggered, Triggers } from '../triggers.ts';
import { type Pipeline, pipelineOf, workflowOf } from './pipeline.ts';
import { answerOf, errorAnswer, type TaskAnswer } from './task-answer.ts';

/** What {@link Tasks} needs. */
export interface TasksOptions {
  readonly agents: Pick<AgentRegistry, 'overMqtt'>;
  readonly workflows: Pick<WorkflowRegistry, 'latest' | 'deploy' | 'list'>;
  readonly triggers: Pick<Triggers, 'fire'>;
  readonly runs: Pick<Runs, 'view'>;
  readonly log: Log;
}

// A broker knows no tenants.
const tenantId = defaultTenantId;
/** What kind of trigger a task is; `outbox` knows its runs by it. */
const kind = 'mqtt';
const by = 'mqtt';
// Whoever may publish could name agents in ever new orders.
const mostPipelines = 1_000;

/** Tasks of the 2389 protocol for agents of the platform: each becomes one run, whose end is its answer. */
export class Tasks {
  readonly #options: TasksOptions;

  constructor(options: TasksOptions) {
    this.#options = options;
  }

  /** The agents that take tasks, without I/O. */
  agents(): readonly AgentSpec[] {
    return this.#options.agents.overMqtt(tenantId);
  }

  /**
   * Starts the run of a task, once per `task_id` for 7 days; returns when it is stored. Gives what is to be said at once: that the task is
   * no good, or its answer once more. Repeat it after a rejection. @throws HiveError whatever passes: DATABASE_UNAVAILABLE and such
   */
  async take(topic: string, payload: Uint8Array): Promise<TaskAnswer | undefined> {
    const agentId = agentOfInputTopic(topic);
    if (agentId === undefined || !this.agents().some(({ name }) => name === agentId)) return undefined;
    const read = readEnvelope(Buffer.from(payload).toString('utf8'));
    if (read.kind === 'malformed') {
      const { addressee, code, reason } = read;
      if (addressee === undefined) this.#options.log.warn({ agent: agentId, reason }, 'a task that names no conversation is no good');
      return addressee && errorAnswer(agentId, addressee, { code, message: reason });
    }
    const { envelope } = read;
    try {
      const { runId, isReplay } = await this.#start(envelope, agentId);
      // Answering is the outbox's; who asks again has lost the answer.
      return isReplay && envelope.answer_again === true ? await this.answerOf(runId) : undefined;
    } catch (error) {
      return this.#refusal(error, envelope, agentId);
    }
  }

  /** What the run of a task says now that it has ended; undefined where there is nothing to say. */
  async answerOf(runId: RunId): Promise<TaskAnswer | undefined> {
    const run = await unlessMissing(this.#options.runs.view(tenantId, runId));
    return run && answerOf(run);
  }

  async #start(envelope: Envelope, agentId: string): Promise<Triggered> {
    const names = new Set(this.agents().map(({ name }) => name));
    const pipeline = pipelineOf(envelope, agentId, (id) => (names.has(id) ? id : mqttAgentName(id)));
    const id = await this.#workflowOf(pipeline);
    const idempotency = { route: kind, key: taskKeyOf(envelope.task_id) };
    return this.#options.triggers.fire({ tenantId, workflow: { id }, context: pipeline.context, kind, by, idempotency });
  }

  /** @throws HiveError ALREADY_EXISTS where somebody else has a workflow of that name, INVALID_REQUEST where there are too many */
  async #workflowOf(pipeline: Pipeline): Promise<WorkflowId> {
    const { workflows } = this.#options;
    const name = pipeline.workflowName;
    const known = await unlessMissing(workflows.latest(tenantId, { name }));
    if (known === undefined) {
      await this.#mustFit(pipeline);
      return (await workflows.deploy({ tenantId, definition: workflowOf(pipeline), by })).id;
    }
    if (known.definition.description !== pipeline.description)
      throw new HiveError('ALREADY_EXISTS', `the workflow ${name} is not that of tasks for ${pipeline.agents.join(', then ')}`);
    return known.id;
  }

  async #mustFit({ agents }: Pipeline): Promise<void> {
    if (agents.every((agent) => mqttAgentIdIn(agent) === undefined) && agents.length === 1) return;
    const pipelines = (await this.#options.workflows.list(tenantId)).filter(({ name }) => name.startsWith('task-'));
    if (pipelines.length >= mostPipelines)
      throw new HiveError('INVALID_REQUEST', `there are ${mostPipelines} chains of agents already; no task may name another one`);
  }

  /** @throws what passes */
  #refusal(error: unknown, { task_id: taskId, conversation_id: conversationId }: Envelope, agentId: string): TaskAnswer | undefined {
    if (!HiveError.is(error) || error.entry.consequence !== 'terminal') throw error;
    this.#options.log.warn({ err: error, agent: agentId, taskId }, 'a task could not start a run');
    // Another task under an id that was had: the protocol ignores it.
    if (error.code === 'IDEMPOTENCY_KEY_REUSED') return undefined;
    const code = error.code === 'INVALID_REQUEST' ? 'invalid_input' : 'internal_error';
    return errorAnswer(agentId, { taskId, conversationId }, { code, message: `${error.code}: ${error.message}` });
  }
}

const unlessMissing = <T>(found: Promise<T>): Promise<T | undefined> =>
  found.catch((error: unknown) => {
    if (HiveError.is(error) && error.code === 'NOT_FOUND') return undefined;
    throw error;
  });
