import type { RunStatus, WorkflowInput } from '@hivekeeper/contract';

/** What clients do about a run after it was accepted. */
export type FollowUp = 'nothing' | 'cancel' | 'retry';

/** A kind of run in the load, and how one may end whatever is killed. */
export interface Kind {
  readonly name: string;
  readonly nodes: (directory: string) => WorkflowInput['nodes'];
  readonly mayEnd: readonly RunStatus[];
  readonly followUp: FollowUp;
  /** Of all runs, in parts. */
  readonly share: number;
}

// An agent that is killed counts as an attempt: enough of them that no run fails by bad luck.
const patient = { maxAttempts: 40, backoffMs: 50, factor: 1 };

const step = (directory: string, id: string, more: object = {}) => ({
  id,
  agent: 'scribe',
  input: { directory, item: 0 },
  retry: patient,
  timeoutMs: 20_000,
  ...more,
});

/**
 * The mix of the load. Effects, signals and retries from the failed node join here, each as a kind with the calls it
 * needs in load.ts and what must hold of it in judge/.
 */
export const kinds: readonly Kind[] = [
  {
    name: 'diamond',
    nodes: (directory) => [
      step(directory, 'a'),
      step(directory, 'b', { needs: ['a'] }),
      step(directory, 'c', { needs: ['a'] }),
      step(directory, 'd', { needs: ['b', 'c'] }),
    ],
    mayEnd: ['SUCCESS'],
    followUp: 'nothing',
    share: 3,
  },
  {
    name: 'fan',
    nodes: (directory) => [
      step(directory, 'each', { map: '{{ context.items }}', input: { directory, item: '{{ item }}' } }),
      step(directory, 'join', { needs: ['each'] }),
    ],
    mayEnd: ['SUCCESS'],
    followUp: 'nothing',
    share: 2,
  },
  {
    name: 'asks',
    nodes: (directory) => [step(directory, 'before'), step(directory, 'asked', { needs: ['before'], approval: true })],
    mayEnd: ['SUCCESS', 'FAILED'],
    followUp: 'nothing',
    share: 2,
  },
  {
    name: 'sleeps',
    nodes: (directory) => [{ id: 'nap', sleep: { forMs: 700 } }, step(directory, 'after', { needs: ['nap'] })],
    mayEnd: ['SUCCESS'],
    followUp: 'nothing',
    share: 2,
  },
  {
    name: 'stops',
    nodes: (directory) =>
      ['a', 'b', 'c', 'd', 'e'].map((id, index, ids) => step(directory, id, { needs: index === 0 ? [] : [ids[index - 1]] })),
    mayEnd: ['SUCCESS', 'CANCELLED'],
    followUp: 'cancel',
    share: 2,
  },
  {
    name: 'fails',
    nodes: (directory) => [
      step(directory, 'a'),
      step(directory, 'b', { needs: ['a'], retry: { maxAttempts: 1 }, input: { directory, item: 0, mark: '{{ context.key }}' } }),
    ],
    mayEnd: ['SUCCESS', 'FAILED'],
    followUp: 'retry',
    share: 1,
  },
];
