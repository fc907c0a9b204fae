import type { JsonObject, JsonValue } from '@hivekeeper/contract';

/** What an effect's function gets. */
export interface EffectCall {
  /** The same whenever this effect is tried: hand it to the other side, where that takes one. */
  readonly idempotencyKey: string;
}

/** What a probe found: whether the effect happened, and what it gave. `undefined`: it cannot tell, and a person is asked. */
export type Finding<T> = { readonly happened: true; readonly output: T } | { readonly happened: false } | undefined;

/** How an effect is made. */
export interface EffectOptions<T> {
  /** Looks at the other side whether the effect happened, where an earlier attempt ended before it could say. */
  readonly probe?: (call: EffectCall) => Finding<T> | Promise<Finding<T>>;
  /** Tells apart calls that are the same and meant to be two. The tool's name where absent. */
  readonly step?: string;
}

/** A person's answer. */
export interface ApprovalAnswer {
  readonly approved: boolean;
  readonly decision: 'APPROVED' | 'REJECTED' | 'EXPIRED';
  readonly by?: string;
  readonly notes?: string;
}

/**
 * What an agent's code may rely on across crashes. Results are recorded under names, and given back without doing the work
 * again when the code is executed from its start: after a failure, a crash, or a wait, perhaps on another machine.
 *
 * Names. Calls with the same name are numbered in their order (`name`, `name#2`, …), so loops need no names of their own.
 * The rule: in every execution the n-th call with a name must be the same call. Whatever differs between executions (time,
 * randomness, what a model says) belongs into a step. Values go through JSON.
 *
 * Waiting. `sleep`, `signal`, `approve` and `agent` end the process where the answer is not there yet: they come back in a
 * later execution only. What is under way is finished first.
 */
export interface AgentContext {
  /** The node's action: one of the manifest's capabilities; undefined where the node names none. */
  readonly action: string | undefined;
  /**
   * Does something whose result shall be recorded. An error is recorded, and thrown again in later executions, only where
   * it is final: a FinalError, or a HiveError that a retry would not help.
   */
  step<T>(name: string, fn: () => T | Promise<T>): Promise<T>;
  /**
   * Does something to the world outside, at most once. It is on record before it happens. Where it ends in any other error
   * than FinalError and NotDoneError, or without a word, nobody knows whether it happened: then the probe looks, and without
   * one the run waits for a person.
   */
  effect<T>(tool: string, args: unknown, fn: (call: EffectCall) => T | Promise<T>, options?: EffectOptions<T>): Promise<T>;
  /** Waits, for up to a year. Nothing is used up meanwhile. */
  sleep(name: string, forMs: number): Promise<void>;
  /** Waits for a signal of that name to the run. Gives its payload. @throws HiveError SIGNAL_EXPIRED */
  signal<T = JsonValue>(name: string, options?: { readonly key?: string; readonly expiresAfterMs?: number }): Promise<T>;
  /** Asks a person. An approval that nobody decides is an answer too. */
  approve(
    name: string,
    request: { readonly message: string; readonly input: unknown; readonly expiresAfterMs?: number },
  ): Promise<ApprovalAnswer>;
  /** Has another agent do something, and gives its output. @throws HiveError with the code of its failure */
  agent<T = JsonValue>(name: string, agent: string, request?: { readonly action?: string; readonly input?: JsonObject }): Promise<T>;
  /** Tells watchers how far the agent is. Not kept. */
  progress(progress: JsonObject): void;
}
