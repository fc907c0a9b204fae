import type { BegunEffect, EffectId, JsonValue, Outcome } from '@hivekeeper/contract';
import type { Activity } from './activity.ts';
import type { EffectCall, EffectOptions, Finding } from './context.ts';
import { finalFailureOf, isNotDone, outputOf } from './errors.ts';
import type { EffectNames } from './names.ts';
import type { WorkerSocket } from './worker-socket.ts';

/** An effect that the agent's code asks for. */
export interface WantedEffect extends EffectOptions<unknown> {
  readonly tool: string;
  readonly args: unknown;
  readonly fn: (call: EffectCall) => unknown;
}

/** How making an effect went. `ended`: recorded. `passing`: it has not happened, this is why. `unknown`: a person must look. */
type Made =
  | { readonly kind: 'ended'; readonly outcome: Outcome }
  | { readonly kind: 'passing'; readonly error: unknown }
  | { readonly kind: 'unknown'; readonly effectId: EffectId };

/** Makes effects by the ledger's rules: on record first, once, and looked at where it is not known whether they happened. */
export class EffectMaker {
  readonly #worker: WorkerSocket;
  readonly #activity: Activity;
  readonly #names: EffectNames;

  constructor(options: { readonly worker: WorkerSocket; readonly activity: Activity; readonly names: EffectNames }) {
    this.#worker = options.worker;
    this.#activity = options.activity;
    this.#names = options.names;
  }

  /** Gives what the effect gave, now or in an earlier attempt. Does not come back where a person must look. */
  async make(wanted: WantedEffect): Promise<unknown> {
    const name = this.#names.enter(wanted.step ?? wanted.tool, wanted.args);
    let isOver = false;
    try {
      const made = await this.#activity.during(name.step, () => this.#make(wanted, name.step));
      if (made.kind === 'unknown') {
        const { tool } = wanted;
        const suspension = { kind: 'effect', step: name.step, effectId: made.effectId, tool };
        return await this.#activity.end(() => this.#worker.ask('POST', '/suspend', suspension));
      }
      isOver = made.kind === 'ended';
      if (made.kind === 'passing') throw made.error;
      return outputOf(made.outcome);
    } finally {
      name.leave(isOver);
    }
  }

  async #make(wanted: WantedEffect, step: string): Promise<Made> {
    const { tool, args, probe } = wanted;
    const begin = () =>
      this.#worker.ask<BegunEffect>('POST', '/effects/begin', { tool, args: args ?? null, step, hasProbe: probe !== undefined });
    const begun = await begin();
    if (begun.state === 'confirmed') return { kind: 'ended', outcome: begun.outcome as Outcome };
    if (begun.state === 'dispatched') return this.#dispatch(wanted, begun.effectId);
    const made = await this.#look(wanted, { effectId: begun.effectId, error: undefined });
    // It has not happened: now it may.
    return made.kind === 'passing' ? this.#dispatchAgain(wanted, await begin()) : made;
  }

  #dispatchAgain(wanted: WantedEffect, begun: BegunEffect): Promise<Made> | Made {
    if (begun.state === 'confirmed') return { kind: 'ended', outcome: begun.outcome as Outcome };
    return begun.state === 'dispatched' ? this.#dispatch(wanted, begun.effectId) : { kind: 'unknown', effectId: begun.effectId };
  }

  async #dispatch(wanted: WantedEffect, effectId: EffectId): Promise<Made> {
    let outcome: Outcome;
    try {
      outcome = { ok: true, output: ((await wanted.fn({ idempotencyKey: effectId })) ?? null) as JsonValue };
    } catch (error) {
      const failure = finalFailureOf(error);
      if (failure === undefined) return this.#doubt(wanted, { effectId, error });
      outcome = { ok: false, error: failure };
    }
    await this.#worker.ask('POST', '/effects/finish', { effectId, outcome });
    // As a replay will give it.
    return { kind: 'ended', outcome: JSON.parse(JSON.stringify(outcome)) as Outcome };
  }

  async #doubt(wanted: WantedEffect, { effectId, error }: Doubted): Promise<Made> {
    const reason = (error instanceof Error ? `${error.name}: ${error.message}` : String(error))
      .toWellFormed()
      .replaceAll('\0', '')
      .slice(0, 2_000);
    await this.#worker.ask('POST', '/effects/doubt', { effectId, reason });
    if (!isNotDone(error)) return this.#look(wanted, { effectId, error });
    return this.#found({ happened: false }, { effectId, error });
  }

  async #look({ probe }: WantedEffect, doubted: Doubted): Promise<Made> {
    const finding = await probe?.({ idempotencyKey: doubted.effectId });
    return finding === undefined ? { kind: 'unknown', effectId: doubted.effectId } : this.#found(finding, doubted);
  }

  async #found(finding: NonNullable<Finding<unknown>>, { effectId, error }: Doubted): Promise<Made> {
    const output = finding.happened ? { output: (finding.output ?? null) as JsonValue } : {};
    await this.#worker.ask('POST', '/effects/probed', { effectId, happened: finding.happened, ...output });
    if (!finding.happened) return { kind: 'passing', error };
    return { kind: 'ended', outcome: JSON.parse(JSON.stringify({ ok: true, ...output })) as Outcome };
  }
}

interface Doubted {
  readonly effectId: EffectId;
  /** Why it is not known. */
  readonly error: unknown;
}
