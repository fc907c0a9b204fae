import type { JsonValue, Outcome, Suspension } from '@hivekeeper/contract';
import { Activity } from './activity.ts';
import type { AgentContext, ApprovalAnswer } from './context.ts';
import { EffectMaker } from './effect.ts';
import { finalFailureOf, outputOf } from './errors.ts';
import { Memo } from './memo.ts';
import { EffectNames, StepNames } from './names.ts';
import type { WorkerSocket } from './worker-socket.ts';

const dayMs = 86_400_000;

/** The context of one execution, over the worker that runs it. */
export function durableContext(worker: WorkerSocket, { action, progress }: Pick<AgentContext, 'action' | 'progress'>): AgentContext {
  const memo = new Memo(worker);
  const activity = new Activity();
  const names = new StepNames();
  const effects = new EffectMaker({ worker, activity, names: new EffectNames() });

  /** Comes back only where an earlier execution has the answer. */
  const waitFor = async <T>(name: string, waiting: (step: string) => Suspension): Promise<T> => {
    activity.mustBeOutside(name);
    const step = names.next(name);
    const known = await memo.wait(step);
    if (known !== undefined) return outputOf(known) as T;
    return activity.end(() => worker.ask('POST', '/suspend', waiting(step)));
  };

  return {
    step: async <T>(name: string, fn: () => T | Promise<T>) => {
      const step = names.next(name);
      const known = await memo.step(step);
      if (known !== undefined) return outputOf(known) as T;
      return activity.during(step, async () => {
        const outcome = await recordable(fn);
        const recorded = await worker.ask<{ readonly outcome: Outcome }>('POST', '/steps', { step, outcome });
        return outputOf(recorded.outcome) as T;
      });
    },
    effect: <T>(...[tool, args, fn, options]: Parameters<AgentContext['effect']>) =>
      effects.make({ tool, args, fn, ...options }) as Promise<T>,
    sleep: (name, forMs) => waitFor<void>(name, (step) => ({ kind: 'timer', step, forMs })),
    signal: (name, { key, expiresAfterMs = 30 * dayMs } = {}) =>
      waitFor(name, (step) => ({ kind: 'signal', step, name, expiresAfterMs, ...(key !== undefined && { key }) })),
    approve: (name, { message, input, expiresAfterMs = dayMs }) =>
      waitFor<ApprovalAnswer>(name, (step) => ({ kind: 'approval', step, message, input: input as JsonValue, expiresAfterMs })),
    agent: (name, agent, { action, input = {} } = {}) =>
      waitFor(name, (step) => ({ kind: 'agent', step, agent, input, ...(action !== undefined && { action }) })),
    progress,
    action,
  };
}

/** What there is to record. @throws whatever may pass */
async function recordable(fn: () => unknown): Promise<Outcome> {
  try {
    return { ok: true, output: ((await fn()) ?? null) as JsonValue };
  } catch (error) {
    const failure = finalFailureOf(error);
    if (failure === undefined) throw error;
    return { ok: false, error: failure };
  }
}
