import { HiveError } from '@hivekeeper/contract';
import type { Routing } from './routing.ts';
import { type Envelope, inputTopic, isV2, taskKeyOf } from '@hivekeeper/contract/agent2389';
import type { Clock } from '@hivekeeper/kernel';
import type { Journal, WaitingTask } from '../journal/index.ts';
import type { AgentLog, Metrics } from '../observe/index.ts';
import {
  type Answer,
  conclude,
  errorAnswer,
  type InputMessage,
  judge,
  type Means,
  perform,
  progressOf,
  repeated,
  type TaskEnd,
} from '../task/index.ts';

/** What a workshop needs. */
export interface WorkshopOptions {
  readonly agentId: string;
  readonly concurrency: number;
  readonly means: Means;
  /** Absent where the file names none: then every task is answered here. */
  readonly routing?: Routing;
  readonly journal: Journal;
  readonly metrics: Metrics;
  readonly log: AgentLog;
  readonly clock: Clock;
  /** QoS 1: resolves when the broker has it. */
  readonly publish: (answer: Answer) => Promise<void>;
  /** QoS 0. */
  readonly tell: (topic: string, payload: string) => void;
}

/** A task that ended this process so often is not begun again. */
const mostBeginnings = 3;

/**
 * Where tasks are taken, done and answered. What it takes is on disk before the broker forgets it, and what it answers is
 * on disk before it is sent: a process that is killed leaves to the next one what it owes, and no task is answered with two
 * different answers.
 */
export class Workshop {
  readonly #options: WorkshopOptions;
  readonly #underWay = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  #isOpen = false;
  #lastNumber = 0;
  #fault: string | undefined;

  constructor(options: WorkshopOptions) {
    this.#options = options;
  }

  /** Why nothing can be stored; absent where it can. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Takes a message. When it returns, what it asks for is on disk, or is nothing. @throws where it cannot be stored */
  take(message: InputMessage): void {
    const { agentId, metrics, log } = this.#options;
    const verdict = judge(message, agentId);
    metrics.taskReceived();
    if (verdict.verdict === 'accepted') return this.#keep(verdict.envelope);
    metrics.taskRejected();
    const { reason } = verdict;
    if (verdict.verdict === 'discarded') return log.warn('Message discarded', { topic: message.topic, reason });
    log.error('Task refused', { task_id: verdict.addressee.taskId, code: verdict.code, reason });
    // Told once and not kept: a task that is mended comes under the same id.
    this.#options.publish(errorAnswer(agentId, verdict.addressee, { code: verdict.code, message: reason })).catch(() => {});
  }

  /** Sends what is decided, and begins what waits. */
  open(): void {
    for (const { number, answer } of this.#options.journal.answered()) this.#track(this.#send(number, JSON.parse(answer) as Answer));
    this.#isOpen = true;
    this.#begin();
  }

  /** Begins nothing more, and resolves when what is under way has ended, by itself or because the time is over. */
  async close(withinMs: number): Promise<void> {
    this.#isOpen = false;
    using timers = new DisposableStack();
    timers.use(this.#options.clock.after(withinMs, () => this.#stop.abort()));
    await Promise.race([Promise.all(this.#underWay), new Promise((resolve) => this.#stop.signal.addEventListener('abort', resolve))]);
    // What was stopped needs a moment to say so; what waits for the broker does not hold us, it is in the journal.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Gives tasks that wait back to their topic, where other replicas take them. */
  async handBack(): Promise<void> {
    const { journal, publish, agentId, log } = this.#options;
    for (let task = journal.begin(0); task !== undefined; task = journal.begin(task.number)) {
      await publish({ topic: inputTopic(agentId), payload: task.envelope });
      journal.forget(task.number);
      log.info('Task handed back', { task_id: (JSON.parse(task.envelope) as Envelope).task_id });
    }
  }

  #keep(envelope: Envelope): void {
    const { journal, metrics, log } = this.#options;
    try {
      const isNew = journal.receive(taskKeyOf(envelope.task_id), JSON.stringify(envelope));
      this.#fault = undefined;
      if (isNew) return this.#begin();
      metrics.taskRejected();
      if (envelope.answer_again === true) return this.#answerAgain(envelope.task_id);
      log.info('Duplicate task ignored', { task_id: envelope.task_id });
    } catch (error) {
      this.#blameJournal(error);
      throw error;
    }
  }

  #blameJournal(error: unknown): void {
    this.#fault = `The journal cannot be written: ${error instanceof Error ? error.message : String(error)}`;
    this.#options.log.error(this.#fault);
  }

  #answerAgain(taskId: string): void {
    const stored = this.#options.journal.answerTo(taskKeyOf(taskId));
    this.#options.log.info('Duplicate task', { task_id: taskId, answered_again: stored !== undefined });
    if (stored !== undefined) this.#options.publish(repeated(JSON.parse(stored) as Answer)).catch(() => {});
  }

  #begin(): void {
    while (this.#isOpen && this.#underWay.size < this.#options.concurrency) {
      const task = this.#options.journal.begin(this.#lastNumber);
      if (task === undefined) return;
      this.#lastNumber = task.number;
      this.#track(this.#work(task));
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#options.log.error('A task could not be brought to its end', { reason: String(error) }))
      .finally(() => {
        this.#underWay.delete(tracked);
        try {
          this.#begin();
        } catch (error) {
          // What waits is begun when the next task comes or ends.
          this.#blameJournal(error);
        }
      });
    this.#underWay.add(tracked);
  }

  async #work(task: WaitingTask): Promise<void> {
    const { agentId, metrics, clock, means, tell } = this.#options;
    const envelope = JSON.parse(task.envelope) as Envelope;
    const { task_id, conversation_id } = envelope;
    const log = this.#options.log.within({ name: 'task_processing', task_id, conversation_id, agent_id: agentId });
    const progress = progressOf(envelope, { agentId, clock, send: tell });
    const beganMs = clock.monotonicMs();
    metrics.taskStarted();
    log.info('Task started', { beginnings: task.beginnings });
    progress.tell('TaskStart', 'Task started');
    let answer: Answer;
    try {
      const end =
        task.beginnings > mostBeginnings ? exhausted(task) : await perform(envelope, means, { progress, stopped: this.#stop.signal });
      answer = await this.#answerOf(envelope, end);
      this.#options.journal.answer(task.number, JSON.stringify(answer));
      await this.#send(task.number, answer);
    } catch (error) {
      metrics.taskEnded('handedBack', 0);
      if (this.#stop.signal.aborted) return log.warn('Task stopped; it is begun again later');
      throw error;
    }
    const durationMs = Math.round(clock.monotonicMs() - beganMs);
    const { failure } = answer;
    metrics.taskEnded(failure === undefined ? 'completed' : 'failed', durationMs);
    if (failure === undefined) log.info('Task completed', { duration_ms: durationMs });
    else log.error('Task failed', { duration_ms: durationMs, code: failure.code, reason: failure.message });
    progress.tell(
      failure === undefined ? 'TaskComplete' : 'TaskError',
      failure === undefined ? 'Task completed' : `Task failed: ${failure.code}`,
    );
  }

  async #answerOf(envelope: Envelope, end: TaskEnd): Promise<Answer> {
    const { agentId, routing } = this.#options;
    // A task that says itself what comes next needs nobody to choose.
    const isRouted = routing !== undefined && end.end === 'text' && isV2(envelope) && !envelope.next;
    return isRouted ? routing.route(envelope, end.text, this.#stop.signal) : conclude(agentId, envelope, end);
  }

  async #send(number: number, answer: Answer): Promise<void> {
    const { publish, journal, log } = this.#options;
    try {
      await publish(answer);
    } catch (error) {
      // It stays decided, and the next start tries again: rights can be mended, the work need not be done twice.
      if (!HiveError.is(error) || error.code !== 'BROKER_REFUSED') throw error;
      return log.error('The broker refuses an answer', { topic: answer.topic, reason: error.message });
    }
    journal.finish(number);
  }
}

const exhausted = ({ beginnings }: WaitingTask): TaskEnd => ({
  end: 'failed',
  code: 'internal_error',
  message: `the agent ended ${beginnings - 1} times while it was at this task`,
});
