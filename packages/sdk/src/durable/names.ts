import canonicalize from 'canonicalize';

const numbered = (name: string, count: number): string => (count === 1 ? name : `${name}#${count}`);

/** Names of steps: the first call with a name has it, the second is `name#2`, and so on, in the order of the calls. */
export class StepNames {
  readonly #counts = new Map<string, number>();

  next(name: string): string {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    return numbered(name, count);
  }
}

/** The name of an effect while it is under way. */
export interface EffectName {
  readonly step: string;
  /** `isOver`: it happened, or never will; the same call again is another effect. Otherwise it is this one. */
  leave(isOver: boolean): void;
}

interface Calls {
  /** All up to this number are over. */
  overCount: number;
  readonly over: Set<number>;
  readonly underWay: Set<number>;
}

/**
 * Names of effects. The same call with the same arguments has the same name in every execution, in whatever order the calls
 * come: a model that is asked again may call its tools in another. Only where one such call is over, or still under way,
 * is the next one another effect.
 */
export class EffectNames {
  readonly #calls = new Map<string, Calls>();

  enter(name: string, args: unknown): EffectName {
    const key = `${name} ${canonicalize(args) ?? 'null'}`;
    const calls = this.#calls.get(key) ?? { overCount: 0, over: new Set<number>(), underWay: new Set<number>() };
    this.#calls.set(key, calls);
    let number = calls.overCount + 1;
    while (calls.over.has(number) || calls.underWay.has(number)) number += 1;
    calls.underWay.add(number);
    return { step: numbered(name, number), leave: (isOver) => leave(calls, number, isOver) };
  }
}

function leave(calls: Calls, number: number, isOver: boolean): void {
  calls.underWay.delete(number);
  if (isOver) calls.over.add(number);
  while (calls.over.delete(calls.overCount + 1)) calls.overCount += 1;
}
