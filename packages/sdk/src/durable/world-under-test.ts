import type { BegunEffect, EffectId, MemoEntry, Outcome, Suspension } from '@hivekeeper/contract';
import { HiveError } from '@hivekeeper/contract/hive-error';
import canonicalize from 'canonicalize';
import type { AgentContext } from './context.ts';
import { durableContext } from './durable-context.ts';
import type { WorkerSocket } from './worker-socket.ts';

interface KnownEffect {
  state: 'intended' | 'dispatched' | 'confirmed' | 'unknown';
  outcome?: Outcome;
  attempt: number;
}

/** When an execution is killed: at the n-th call, counted over all executions, before or after the call took effect. */
export interface Kill {
  readonly atCall: number;
  readonly isCallDone: boolean;
}

/** How an execution of the agent's code ended. */
export type End =
  | { readonly kind: 'returned'; readonly output: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'suspended'; readonly suspension: Suspension }
  | { readonly kind: 'killed' };

/** A worker, a ledger and the world outside, in memory: executes an agent's code again and again until it returns. */
export class World {
  readonly steps = new Map<string, Outcome>();
  readonly waits = new Map<string, Outcome>();
  readonly effects = new Map<string, KnownEffect>();
  readonly suspensions: Suspension[] = [];
  /** What happened outside, in order. */
  readonly outside: string[] = [];
  readonly kills: readonly Kill[];
  callCount = 0;
  attempt = 0;
  /** What a person says of an effect nobody knows the end of. */
  person: (effectId: string) => { readonly happened: boolean; readonly output?: unknown } = () => ({ happened: false });

  constructor(kills: readonly Kill[] = []) {
    this.kills = kills;
  }

  /** One execution. */
  execute(run: (ctx: AgentContext) => Promise<unknown>): Promise<End> {
    this.attempt += 1;
    return new Promise((resolve) => {
      const worker: WorkerSocket = { ask: (method, path, body = {}) => this.#ask(`${method} ${path}`, body, resolve) as never };
      run(durableContext(worker, { action: undefined, progress: () => undefined })).then(
        (output) => resolve({ kind: 'returned', output }),
        (error: unknown) => resolve({ kind: 'failed', error }),
      );
    });
  }

  /** Executions until one returns or fails for good: kills and waits are gone over, failures are tried again so often. */
  async live(run: (ctx: AgentContext) => Promise<unknown>, retries = 0): Promise<End> {
    for (let failures = 0; this.attempt < 200;) {
      const end = await this.execute(run);
      if (end.kind === 'suspended') this.#resume(end.suspension);
      else if (end.kind === 'failed' && failures < retries) failures += 1;
      else if (end.kind !== 'killed') return end;
    }
    throw new HiveError('INTERNAL', 'the agent never returns');
  }

  #resume(suspension: Suspension): void {
    if (suspension.kind !== 'effect') return void this.waits.set(suspension.step, { ok: true, output: `${suspension.kind} came` });
    const [key = '', effect] = [...this.effects].find(([, { state }]) => state === 'unknown') ?? [];
    const { happened, output } = this.person(key);
    if (effect === undefined) return;
    effect.state = happened ? 'confirmed' : 'intended';
    if (happened) effect.outcome = { ok: true, output: (output ?? null) as never };
  }

  async #ask(question: string, body: object, end: (end: End) => void): Promise<unknown> {
    this.callCount += 1;
    const kill = this.kills.find(({ atCall }) => atCall === this.callCount);
    const answer = kill?.isCallDone === false ? undefined : this.#answer(question, body as never, end);
    // Killed: nothing of this execution goes on.
    if (kill === undefined) return answer;
    end({ kind: 'killed' });
    return new Promise(() => undefined);
  }

  #answer(
    question: string,
    body: MemoEntry & { readonly tool: string; readonly args: unknown; readonly effectId: string } & Record<string, never>,
    end: (end: End) => void,
  ) {
    const path = question.split('?')[0];
    if (path === 'GET /memo') return { steps: entriesOf(this.steps), waits: entriesOf(this.waits) };
    if (path === 'POST /steps') {
      if (!this.steps.has(body.step)) this.steps.set(body.step, JSON.parse(JSON.stringify(body.outcome)) as Outcome);
      return { outcome: this.steps.get(body.step) };
    }
    if (path === 'POST /suspend') {
      this.suspensions.push(body as unknown as Suspension);
      end({ kind: 'suspended', suspension: body as unknown as Suspension });
      return new Promise(() => undefined);
    }
    if (path === 'POST /effects/begin') return this.#begin(`${body.step} ${body.tool} ${canonicalize(body.args)}`);
    const effect = this.effects.get(body.effectId);
    if (effect === undefined) throw new HiveError('NOT_FOUND');
    if (path === 'POST /effects/finish') Object.assign(effect, { state: 'confirmed', outcome: body.outcome });
    if (path === 'POST /effects/doubt') effect.state = 'unknown';
    if (path === 'POST /effects/probed')
      Object.assign(
        effect,
        body['happened'] ? { state: 'confirmed', outcome: { ok: true, output: body['output'] } } : { state: 'intended' },
      );
    return {};
  }

  #begin(key: string): BegunEffect {
    const effectId = key as EffectId;
    const effect: KnownEffect = this.effects.get(key) ?? { state: 'intended', attempt: this.attempt };
    this.effects.set(key, effect);
    if (effect.state === 'dispatched' && effect.attempt === this.attempt) throw new HiveError('EFFECT_AT_WORK');
    if (effect.state === 'dispatched') effect.state = 'unknown';
    if (effect.state === 'unknown') return { state: 'unknown', effectId, reason: 'r' };
    if (effect.state === 'confirmed' && effect.outcome !== undefined)
      return { state: 'confirmed', effectId, outcome: effect.outcome as never };
    Object.assign(effect, { state: 'dispatched', attempt: this.attempt });
    return { state: 'dispatched', effectId };
  }
}

const entriesOf = (entries: ReadonlyMap<string, Outcome>): MemoEntry[] => [...entries].map(([step, outcome]) => ({ step, outcome }));
