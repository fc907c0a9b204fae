import fc from 'fast-check';
import type { Answer, Result, Script, SimulatedNode, Undoing, Waiting, Work, World } from './world.ts';

const mostly = <T>(usual: T, ...others: T[]) => fc.oneof({ weight: 5, arbitrary: fc.constant(usual) }, fc.constantFrom(...others));
const often = <T>(usual: T, ...others: T[]) => fc.oneof({ weight: 2, arbitrary: fc.constant(usual) }, fc.constantFrom(...others));

const answer = fc.constantFrom<Answer>('approve', 'reject', 'expire');
const gate = fc.constantFrom<Answer | 'none'>('none', 'none', 'none', 'none', 'none', 'none', 'approve', 'reject', 'expire');
const isComing = often(true, false);

/** Agents call agents that call agents, and no further. */
const deepestCall = 2;

const scriptOf = (depth: number): fc.Arbitrary<Script> =>
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.array(fc.oneof({ weight: 3, arbitrary: result }, { weight: 2, arbitrary: waitingOf(depth) }), { maxLength: 4 }),
    },
    { weight: 1, arbitrary: fc.constant<Script>(['lose', 'lose', 'lose', 'lose', 'lose']) },
  );

const result = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Result>('ok') },
  { weight: 6, arbitrary: fc.constantFrom<Result>('fail', 'fail', 'time-out', 'fail for good', 'lose', 'lose') },
);

const waitingOf = (depth: number): fc.Arbitrary<Waiting> =>
  fc.oneof(
    fc.constantFrom<Waiting>({ waits: 'timer' }, { waits: 'effect' }),
    fc.record({ waits: fc.constant('signal' as const), comes: isComing }),
    fc.record({ waits: fc.constant('approval' as const), answer }),
    ...(depth < deepestCall ? [{ weight: 2 + 2 * depth, arbitrary: callOf(depth) }] : []),
  );

const callOf = (depth: number): fc.Arbitrary<Waiting> =>
  fc.record({
    waits: fc.constant('call' as const),
    gate: fc.constantFrom<Answer | 'none'>('none', 'none', 'approve', 'reject', 'expire'),
    script: scriptOf(depth + 1),
  });

const undoing: fc.Arbitrary<Undoing> = fc.record({
  isBroken: fc.constantFrom(false, false, false, true),
  gate,
  script: fc.oneof(fc.constant<Script>([]), scriptOf(1)),
});
const ofThree = <T>(one: fc.Arbitrary<T>) => fc.array(one, { minLength: 3, maxLength: 3 });

const work: fc.Arbitrary<Work> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('agent' as const),
      gate,
      isRisky: mostly(false, true),
      onExpiry: fc.constantFrom('fail' as const, 'skip' as const, 'skip' as const, 'approve' as const, 'approve' as const),
      scripts: ofThree(scriptOf(0)),
      undoing: fc.option(undoing, { nil: undefined }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('wait' as const),
      what: fc.constantFrom('signal' as const, 'event' as const, 'shared' as const),
      comes: ofThree(isComing),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('sleep' as const), how: fc.constantFrom('for' as const, 'until' as const, 'past' as const) }),
  },
);

const mostNodes = 12;

/** Workflows of up to a dozen nodes, each with what the world will do to it. */
export const nodesArbitrary: fc.Arbitrary<SimulatedNode[]> = fc
  .array(
    fc.record({
      needs: fc.array(fc.nat(mostNodes - 1), { maxLength: 3 }),
      when: mostly<SimulatedNode['when']>('always', 'if the first need succeeded', 'never'),
      mapCount: fc.constantFrom<SimulatedNode['mapCount']>(
        undefined,
        undefined,
        undefined,
        undefined,
        undefined,
        undefined,
        3,
        2,
        1,
        0,
        'no array',
      ),
      isBroken: mostly(false, false, false, true),
      onFailure: fc.constantFrom<SimulatedNode['onFailure']>('fail', 'continue', 'fallback'),
      maxAttempts: fc.integer({ min: 1, max: 3 }),
      backoffMs: fc.constantFrom(0, 100),
      work,
    }),
    { minLength: 1, maxLength: mostNodes },
  )
  .map((raw) =>
    raw.map((node, index) => ({
      ...node,
      id: `n${index}`,
      needs: [...new Set(node.needs)].filter((need) => need < index).map((need) => `n${need}`),
    })),
  );

/** Fates of a whole run. */
export const worldArbitrary: fc.Arbitrary<World> = fc.record({
  start: fc.constantFrom<World['start']>('at once', 'queued'),
  end: fc.constantFrom<World['end']>('by itself', 'by itself', 'cancel', 'deadline'),
  endAfter: fc.oneof(fc.nat(2), fc.nat(40)),
  isReversed: fc.boolean(),
  goOn: fc.constantFrom<World['goOn']>('from the failed', 'from a node', 'healed'),
  seed: fc.nat(),
});
