import { type AgentSpec, HiveError } from '@hivekeeper/contract';
import { type AgentStatus, statusTopic } from '@hivekeeper/contract/agent2389';
import { type Clock, type Log, pause, type Timer } from '@hivekeeper/kernel';
import type { TaskAnswer } from './task-answer.ts';
import type { OpenTaskLine, TaskLine } from './task-line.ts';
import type { Tasks } from './tasks.ts';

/** What {@link TaskDoor} needs. */
export interface TaskDoorOptions {
  readonly tasks: Pick<Tasks, 'agents' | 'take'>;
  readonly openLine: OpenTaskLine;
  readonly clock: Clock;
  readonly log: Log;
}

const lookEveryMs = 1_000;
const announceEveryMs = 20_000;
/** Who is killed is taken for gone after this long (MQTT 5). */
const keptSeconds = 60;
const publishTimeoutMs = 5_000;
const longestPauseMs = 2_000;
const mostFaults = 5;

/**
 * Where tasks for agents of the platform come in. There is a line to the broker while at least one agent takes tasks. Every control plane
 * hears every task, so that none waits for one that is dead; the first to store it starts its run.
 */
export class TaskDoor implements AsyncDisposable {
  readonly #options: TaskDoorOptions;
  readonly #closing = new AbortController();
  readonly #timers: readonly Timer[];
  #agents: readonly AgentSpec[] = [];
  #line: TaskLine | undefined;
  #changing: Promise<void> | undefined;

  constructor(options: TaskDoorOptions) {
    this.#options = options;
    const { clock } = options;
    this.#timers = [clock.every(lookEveryMs, () => this.#look()), clock.every(announceEveryMs, () => this.#announce())];
    this.#look();
  }

  isConnected(): boolean {
    return this.#line?.isConnected() === true;
  }

  /** Resolves when the broker has the answer, or will not have it. Rejects where that is not known within 5 s: it may be said again. */
  async say({ topic, body }: TaskAnswer): Promise<void> {
    await this.#publish({ topic, payload: JSON.stringify(body) }).catch((error: unknown) => {
      if (!HiveError.is(error) || error.code !== 'BROKER_REFUSED') throw error;
      this.#options.log.error({ err: error, topic }, 'the broker refuses the answer to a task: it is lost');
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    this.#closing.abort();
    await this.#changing;
    await this.#close([]);
  }

  /** Follows what agents there are; a change means a new line. */
  #look(): void {
    const agents = this.#options.tasks.agents();
    if (this.#changing !== undefined || JSON.stringify(agents) === JSON.stringify(this.#agents)) return;
    this.#changing = this.#change(agents)
      .catch((error: unknown) => this.#options.log.warn({ err: error }, 'the line for tasks over MQTT could not be changed'))
      .finally(() => (this.#changing = undefined));
  }

  async #change(agents: readonly AgentSpec[]): Promise<void> {
    await this.#close(agents);
    this.#agents = agents;
    if (agents.length === 0 || this.#closing.signal.aborted) return;
    const ids = agents.map(({ name }) => name);
    this.#line = this.#options.openLine(ids, {
      connected: () => this.#announce(),
      take: (topic, payload) => this.#take(topic, payload),
    });
    this.#options.log.info({ agents: ids }, 'agents take tasks over MQTT');
  }

  /** Those that do not stay say that they go, as far as the broker is there. */
  async #close(staying: readonly AgentSpec[]): Promise<void> {
    if (this.#line === undefined) return;
    const going = this.#agents.filter(({ name }) => !staying.some((other) => other.name === name));
    if (this.isConnected()) await Promise.all(going.map((agent) => this.#tell(agent, 'unavailable')));
    await this.#line[Symbol.asyncDispose]();
    this.#line = undefined;
  }

  #announce(): void {
    if (this.isConnected()) for (const agent of this.#agents) void this.#tell(agent, 'available');
  }

  async #tell({ name, description, capabilities }: AgentSpec, status: AgentStatus['status']): Promise<void> {
    const { clock, log } = this.#options;
    const body: AgentStatus = {
      ...{ agent_id: name, status, timestamp: new Date(clock.nowMs()).toISOString() },
      ...(capabilities.length > 0 && { capabilities: capabilities.map((capability) => capability.name) }),
      ...(description !== undefined && { description }),
    };
    await this.#publish({ topic: statusTopic(name), payload: JSON.stringify(body), keptSeconds }).catch((error: unknown) =>
      log.warn({ err: error, agent: name }, 'an agent’s status was not told over MQTT'),
    );
  }

  /** Returns when the run is stored, and what is to be said at once is said. @throws HiveError SHUTTING_DOWN */
  async #take(topic: string, payload: Uint8Array): Promise<void> {
    const { tasks, clock, log } = this.#options;
    let faultCount = 0;
    for (let pauseMs = 50; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      if (this.#closing.signal.aborted) throw new HiveError('SHUTTING_DOWN');
      try {
        const answer = await tasks.take(topic, payload);
        if (answer !== undefined) await this.say(answer);
        return;
      } catch (error) {
        // What carries no code is a bug of ours: one task that meets it must not hold up all others for ever.
        if (!HiveError.is(error)) faultCount += 1;
        if (faultCount >= mostFaults) return log.error({ err: error, topic }, 'a task cannot be taken: it is dropped');
        log.warn({ err: error, topic }, 'a task could not be stored yet');
      }
      await pause(clock, pauseMs, this.#closing.signal).catch(() => undefined);
    }
  }

  async #publish(message: Parameters<TaskLine['publish']>[0]): Promise<void> {
    if (this.#line === undefined) throw new HiveError('BROKER_UNREACHABLE');
    const over = new AbortController();
    try {
      await Promise.race([
        this.#line.publish(message),
        pause(this.#options.clock, publishTimeoutMs, over.signal).then(() => Promise.reject(new HiveError('BROKER_UNREACHABLE'))),
      ]);
    } finally {
      over.abort();
    }
  }
}
