/** A place in the core path at which a process is killed, once: before something is done, or after. */
export interface Failpoint {
  /** Whose process. */
  readonly process: 'control' | 'worker';
  readonly name: string;
  readonly when: 'before' | 'after';
}

// A commit by what it stores; an answer by the route it answers; statements besides the commit by what they are for.
const control = [
  'commit run.created',
  'commit ticket.settled',
  'commit ticket.lost',
  'commit run.woken',
  'commit approval.decided',
  'commit run.cancelled',
  'commit leases',
  'statement renew',
  'statement expired',
  'statement due',
  'statement fold',
  'answer start',
  'answer cancel',
  'answer decision',
  'answer register',
  'answer poll',
  'answer heartbeat',
  'answer settle',
] as const;
const worker = ['call register', 'call poll', 'call heartbeat', 'call settle'] as const;

/** All of them. */
export const failpoints: readonly Failpoint[] = [
  ...control.map((name) => ({ process: 'control', name }) as const),
  ...worker.map((name) => ({ process: 'worker', name }) as const),
].flatMap((point) => [
  { ...point, when: 'before' },
  { ...point, when: 'after' },
]);

/** As it is armed. */
export const textOf = ({ name, when }: Pick<Failpoint, 'name' | 'when'>): string => `${when} ${name}`;
