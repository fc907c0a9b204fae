import type { RunStatus, WorkflowInput } from '@hivekeeper/contract';

/** What clients do about a run after it was accepted. */
export type FollowUp = 'nothing' | 'cancel' | 'retry' | 'retryFailed' | 'signal' | 'pause';

/** A kind of run in the load, and how one may end whatever is killed. */
export interface Kind {
  readonly name: string;
  /** Without the ledger those that pay do so as if there were none: for the negative control. */
  readonly nodes: (directory: string, hasLedger: boolean) => WorkflowInput['nodes'];
  readonly mayEnd: readonly RunStatus[];
  readonly followUp: FollowUp;
  /** Of all runs, in parts; 0 where clients start none. */
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

const chain = (directory: string, ids: readonly string[]) =>
  ids.map((id, index) => step(directory, id, { needs: index === 0 ? [] : [ids[index - 1]] }));

/** Pays by a line in a file. Paying takes a while, so that a kill finds it paying; far less than a lease has left when it is renewed. */
const payment = (directory: string, how: { readonly hasProbe: boolean; readonly hasLedger: boolean }) =>
  step(directory, 'pay', {
    agent: 'payer',
    needs: ['a'],
    input: { directory, key: '{{ context.key }}', payMs: 200, ...how },
  });

/** Fails at its first execution, and is not tried again by the run. */
const failing = (directory: string) =>
  step(directory, 'b', { needs: ['a'], retry: { maxAttempts: 1 }, input: { directory, item: 0, mark: '{{ context.key }}' } });

const sure: Pick<Kind, 'mayEnd' | 'followUp'> = { mayEnd: ['SUCCESS'], followUp: 'nothing' };

/** The mix of the load. What must hold of each kind is in judge/. */
export const kinds: readonly Kind[] = [
  {
    ...{ name: 'diamond', share: 3, ...sure },
    nodes: (directory) => [
      step(directory, 'a'),
      step(directory, 'b', { needs: ['a'] }),
      step(directory, 'c', { needs: ['a'] }),
      step(directory, 'd', { needs: ['b', 'c'] }),
    ],
  },
  {
    ...{ name: 'fan', share: 2, ...sure },
    nodes: (directory) => [
      step(directory, 'each', { map: '{{ context.items }}', input: { directory, item: '{{ item }}' } }),
      step(directory, 'join', { needs: ['each'] }),
    ],
  },
  {
    ...{ name: 'asks', share: 2, mayEnd: ['SUCCESS', 'FAILED'], followUp: 'nothing' },
    nodes: (directory) => [step(directory, 'before'), step(directory, 'asked', { needs: ['before'], approval: true })],
  },
  {
    ...{ name: 'sleeps', share: 2, ...sure },
    nodes: (directory) => [{ id: 'nap', sleep: { forMs: 700 } }, step(directory, 'after', { needs: ['nap'] })],
  },
  {
    ...{ name: 'stops', share: 2, mayEnd: ['SUCCESS', 'CANCELLED'], followUp: 'cancel' },
    nodes: (directory) => chain(directory, ['a', 'b', 'c', 'd', 'e']),
  },
  {
    ...{ name: 'fails', share: 1, mayEnd: ['SUCCESS', 'FAILED'], followUp: 'retry' },
    nodes: (directory) => [step(directory, 'a'), failing(directory)],
  },
  {
    ...{ name: 'resumes', share: 1, mayEnd: ['SUCCESS', 'FAILED'], followUp: 'retryFailed' },
    nodes: (directory) => [step(directory, 'a'), failing(directory), step(directory, 'c', { needs: ['b'] })],
  },
  {
    ...{ name: 'pays', share: 4, ...sure },
    nodes: (directory, hasLedger) => [step(directory, 'a'), payment(directory, { hasProbe: true, hasLedger })],
  },
  // Where nobody knows whether it was paid, a person looks into the file.
  {
    ...{ name: 'pays-blind', share: 3, ...sure },
    nodes: (directory, hasLedger) => [step(directory, 'a'), payment(directory, { hasProbe: false, hasLedger })],
  },
  {
    ...{ name: 'signals', share: 2, mayEnd: ['SUCCESS'], followUp: 'signal' },
    nodes: (directory) => [
      step(directory, 'a'),
      { id: 'first', needs: ['a'], wait: { signal: 'go' } },
      { id: 'second', needs: ['first'], wait: { signal: 'go' } },
      step(directory, 'b', { needs: ['second'] }),
    ],
  },
  {
    ...{ name: 'pauses', share: 2, mayEnd: ['SUCCESS'], followUp: 'pause' },
    nodes: (directory) => chain(directory, ['a', 'b', 'c']),
  },
  { ...{ name: 'ticks', share: 0, ...sure }, nodes: (directory) => [step(directory, 'a')] },
];

/** The kind of a workflow. */
export const kindOf = (workflow: string): Kind | undefined => kinds.find(({ name }) => name === workflow);
