import type { ApprovalId, Blocker, RunId, TicketId, WorkerId, WorkerView, WorkflowId } from '@hivekeeper/contract';
import { expect, it } from 'vitest';
import { explain, inWords, type WhyFacts } from './explain.ts';

const nowMs = 1_000_000;
const run = {
  id: 'run_1' as RunId,
  workflowId: 'wfl_1' as WorkflowId,
  workflowName: 'w',
  workflowVersion: 1,
  status: 'RUNNING' as const,
  trigger: 'api',
  createdAtMs: nowMs - 90_000,
};
const ticketBlocker: Blocker = { kind: 'ticket', nodeId: 'scan', ticketId: 'tkt_1.0' as TicketId, otherCount: 0 };
const ready = { ticketId: 'tkt_1.0' as TicketId, requirement: 'python' };

const worker = (more: Partial<WorkerView>) => ({
  name: 'eu-1',
  state: 'connected' as const,
  capabilities: [],
  lastSeenAtMs: nowMs,
  ...more,
});

const blockedBy = (blocker: Blocker | undefined, more: Partial<WhyFacts> = {}): WhyFacts => ({
  run: { ...run, ...(blocker !== undefined && { blocker }) },
  workers: [worker({ capabilities: ['node'] }), worker({ capabilities: ['exec', 'gpu', 'python'] })],
  nowMs,
  ...more,
});

it.each<{ what: string; facts: WhyFacts; says: string; type?: string; sinceMs: number }>([
  {
    what: 'was only just accepted',
    facts: blockedBy(undefined),
    says: 'The run was accepted and has not been worked on yet.',
    sinceMs: 90_000,
  },
  {
    what: 'waits for a person',
    facts: blockedBy({ kind: 'approval', nodeId: 'deploy', approvalId: 'apr_1.0' as ApprovalId, expiresAtMs: nowMs + 3_660_000 }),
    says: 'Node deploy waits for a person to approve it; the request expires in 1 h 1 min.',
    type: 'hive approve apr_1.0',
    sinceMs: 90_000,
  },
  ...(
    [
      [{ broker: 'none', replicaCount: 0 }, 'MQTT_URL is not set here, so this control plane cannot reach it', 'hive doctor'],
      [{ broker: 'away', replicaCount: 2 }, 'the broker cannot be reached', 'hive doctor'],
      [{ broker: 'there', replicaCount: 0 }, 'no replica of it is there', 'hive agents'],
      [{ broker: 'there', replicaCount: 3 }, '3 replicas of it are there', 'hive agents'],
    ] as const
  ).map(([heard, says, type]) => ({
    what: `waits for an agent over MQTT: ${says}`,
    facts: blockedBy(ticketBlocker, { ticket: { ...ready, requirement: 'mqtt/a' }, overMqtt: { name: 'mqtt/a', ...heard } }),
    says: `Node scan waits for mqtt/a over MQTT; ${says}.`,
    type,
    sinceMs: 90_000,
  })),
  {
    what: 'waits for its turn behind another',
    facts: blockedBy({ kind: 'concurrency', key: 'press', limit: 1 }, { holders: ['run_0' as RunId] }),
    says: 'The run waits for its turn: one run with the key "press" goes at a time, and run_0 has not ended.',
    type: 'hive why run_0',
    sinceMs: 90_000,
  },
  {
    what: 'waits for its turn behind several',
    facts: blockedBy({ kind: 'concurrency', key: 'press', limit: 3 }, { holders: ['run_0' as RunId, 'run_2' as RunId] }),
    says: 'The run waits for its turn: 3 runs with the key "press" go at a time, and run_0 and others have not ended.',
    type: 'hive why run_0',
    sinceMs: 90_000,
  },
  {
    what: 'is about to get its turn',
    facts: blockedBy({ kind: 'concurrency', key: 'press', limit: 1 }, { holders: [] }),
    says: 'The run waits for its turn: one run with the key "press" goes at a time, and it begins in a moment.',
    type: 'hive runs --status RUNNING',
    sinceMs: 90_000,
  },
  {
    what: 'waits to try again',
    facts: blockedBy({ kind: 'retry', nodeId: 'scan', dueAtMs: nowMs + 5_000, lastError: { code: 'AGENT_FAILED', message: 'no luck' } }),
    says: 'Node scan failed (AGENT_FAILED: no luck) and is tried again in 5 s.',
    type: 'hive run show run_1',
    sinceMs: 90_000,
  },
  {
    what: 'is being worked on',
    facts: blockedBy(
      { ...ticketBlocker, otherCount: 2 },
      { ticket: { ...ready, workerId: 'wrk_1' as WorkerId, leasedAtMs: nowMs - 61_000 } },
    ),
    says: 'Node scan is being worked on by wrk_1 for 1 min 1 s (and 2 more at work).',
    type: 'hive logs run_1 --follow',
    sinceMs: 61_000,
  },
  {
    what: 'needs an agent nobody registered',
    facts: blockedBy(ticketBlocker, { ticket: { ...ready, requirement: 'agent:linter gpu' } }),
    says: 'Node scan needs the agent linter, which is not registered.',
    type: 'hive agents register <path>',
    sinceMs: 90_000,
  },
  {
    what: 'needs an agent of another project that nobody registered',
    facts: blockedBy(ticketBlocker, { ticket: { ...ready, requirement: 'agent:2/linter' } }),
    says: 'Node scan needs the agent 2/linter, which is not registered.',
    sinceMs: 90_000,
  },
  {
    what: 'needs a worker where there is none',
    facts: blockedBy(ticketBlocker, { ticket: ready, workers: [] }),
    says: 'Node scan waits for a worker that can run python agents; no worker is connected.',
    type: 'hive worker --url <url> --token <token>',
    sinceMs: 90_000,
  },
  {
    what: 'needs a worker where the only one is silent',
    facts: blockedBy(ticketBlocker, {
      ticket: ready,
      workers: [worker({ state: 'silent', capabilities: ['python'], lastSeenAtMs: nowMs - 40_000 }), worker({ capabilities: ['node'] })],
    }),
    says: 'Node scan waits for a worker that can run python agents; worker eu-1 was last heard 40 s ago.',
    type: 'hive status',
    sinceMs: 90_000,
  },
  {
    what: 'needs a worker where all that could are told to take nothing',
    facts: blockedBy(ticketBlocker, {
      ticket: ready,
      workers: [worker({ state: 'cordoned', capabilities: ['python'] }), worker({ state: 'draining', capabilities: ['python'] })],
    }),
    says: 'Node scan waits for a worker that can run python agents; worker eu-1 is cordoned, and 1 more that can run it take nothing either.',
    type: 'hive status',
    sinceMs: 90_000,
  },
  {
    what: 'needs what workers could not find on their machines',
    facts: blockedBy(ticketBlocker, {
      ticket: { ...ready, requirement: 'container' },
      workers: [
        worker({ lacks: { container: 'podman: no cgroups', coding: 'git is not installed' } }),
        worker({ name: 'eu-2', lacks: { container: 'x' } }),
      ],
    }),
    says: 'Node scan waits for a worker that can run container agents; no connected worker can run container agents (eu-1: podman: no cgroups, and 1 more).',
    type: 'hive worker --url <url> --token <token>',
    sinceMs: 90_000,
  },
  {
    what: 'needs a label that no worker has',
    facts: blockedBy(ticketBlocker, { ticket: { ...ready, requirement: 'eu gpu python' } }),
    says: 'Node scan waits for a worker that can run python agents and has the label eu and has the label gpu; no connected worker has the label eu.',
    type: 'hive worker --url <url> --token <token> --label eu --label gpu',
    sinceMs: 90_000,
  },
  {
    what: 'needs two things that no worker has',
    facts: blockedBy(ticketBlocker, { ticket: { ...ready, requirement: 'builtin eu' } }),
    says: 'Node scan waits for a worker that can run builtin agents and has the label eu; no connected worker can run builtin agents or has the label eu.',
    type: 'hive worker --url <url> --token <token> --label eu',
    sinceMs: 90_000,
  },
  {
    what: 'needs what only two workers together have',
    facts: blockedBy({ ...ticketBlocker, otherCount: 1 }, { ticket: { ...ready, requirement: 'gpu node' } }),
    says: 'Node scan waits for a worker that can run node agents and has the label gpu; no connected worker has all of that (and 1 more at work).',
    type: 'hive worker --url <url> --token <token> --label gpu',
    sinceMs: 90_000,
  },
  {
    what: 'moved on between two questions to the database',
    facts: blockedBy(ticketBlocker),
    says: 'Node scan moved on while you asked.',
    type: 'hive why run_1',
    sinceMs: 0,
  },
  {
    what: 'waits for a worker to be free',
    facts: blockedBy(ticketBlocker, { ticket: ready }),
    says: 'Node scan waits for a free worker; all that can run it are busy.',
    type: 'hive status',
    sinceMs: 90_000,
  },
  {
    what: 'is worked on by a worker that is alive and reports no progress',
    facts: blockedBy(ticketBlocker, {
      ticket: {
        ...ready,
        workerId: 'wrk_1' as never,
        leasedAtMs: nowMs - 300_000,
        leaseUntilMs: nowMs + 1,
        progressedAtMs: nowMs - 61_000,
      },
    }),
    says: 'Node scan is being worked on by wrk_1 for 5 min 0 s; the worker is alive, but no progress was reported for 1 min 1 s.',
    type: 'hive logs run_1 --follow',
    sinceMs: 300_000,
  },
  {
    what: 'waits for a place under a key',
    facts: blockedBy(ticketBlocker, {
      ticket: ready,
      throttledBy: {
        kind: 'concurrency',
        key: 'key:printer',
        limit: 2,
        holderCount: 2,
        holders: [
          { ticketId: 'tkt_9' as never, runId: 'run_9' as never, nodeId: 'print', workerId: 'wrk_1' as never, leasedAtMs: nowMs - 5_000 },
        ],
      },
    }),
    says: 'Node scan waits for its turn: 2 with the key "key:printer" may be under way, and 2 are: node print of run_9 at wrk_1 for 5 s and 1 more.',
    type: 'hive why tkt_9',
    sinceMs: 90_000,
  },
  {
    what: 'waits for its rate',
    facts: blockedBy(ticketBlocker, {
      ticket: ready,
      throttledBy: { kind: 'rate', key: 'rate:scan', limit: 5, windowMs: 60_000, roomAtMs: nowMs + 4_000 },
    }),
    says: 'Node scan waits for its turn: 5 with the key "rate:scan" may start per 1 min 0 s; the next one in 4 s.',
    type: 'hive agents',
    sinceMs: 90_000,
  },
  ...[
    { state: 'open' as const, nextTrialAtMs: nowMs + 20_000, says: 'the next trial is in 20 s' },
    { state: 'open' as const, nextTrialAtMs: nowMs, says: 'the next trial is due' },
    { state: 'half-open' as const, trialTicketId: 'tkt_7' as never, says: 'ticket tkt_7 tries whether it goes well again' },
  ].map(({ says, ...breaker }) => ({
    what: `waits for a breaker: ${says}`,
    facts: blockedBy(ticketBlocker, { ticket: ready, throttledBy: { kind: 'breaker' as const, key: 'breaker:scan', ...breaker } }),
    says: `Node scan waits because its agent failed too often (breaker:scan is ${breaker.state}); ${says}.`,
    type: 'hive breakers',
    sinceMs: 90_000,
  })),
  ...[
    {
      budget: { scope: 'tenant' as const, name: '', period: 'total' as const },
      says: 'the budget of everything',
      turn: '',
      set: 'tenant --per total',
    },
    {
      budget: { scope: 'workflow' as const, name: 'review', period: 'day' as const, turnsAtMs: nowMs + 3_600_000 },
      ...{ says: 'the budget of workflow review for this day', turn: '; it begins anew in 1 h 0 min', set: 'workflow:review --per day' },
    },
  ].map(({ budget, says, turn, set }) => ({
    what: `waits for ${says}`,
    facts: blockedBy(ticketBlocker, {
      ticket: ready,
      throttledBy: {
        ...{ kind: 'budget' as const, ...budget, capMicroUsd: 20_000_000 },
        ...{ settledMicroUsd: 19_100_000, reservedMicroUsd: 500_000, neededMicroUsd: 500_000 },
      },
    }),
    says: `Node scan may cost $0.50, more than is left of ${says}: $19.10 of $20.00 are spent and $0.50 reserved${turn}.`,
    type: `hive budgets set ${set} --usd <more>`,
    sinceMs: 90_000,
  })),
  {
    what: 'waits for what its agent depends on',
    facts: blockedBy(ticketBlocker, {
      ticket: ready,
      throttledBy: {
        ...{ kind: 'dependency' as const, name: 'github-api', state: 'open' as const, sinceAtMs: nowMs - 70_000 },
        ...{ nextTrialAtMs: nowMs + 20_000, cause: 'DEPENDENCY_FAILED: github-api: 502' },
      },
    }),
    says: 'Node scan waits because github-api, which its agent depends on, is down for 1 min 10 s (its breaker is open, DEPENDENCY_FAILED: github-api: 502); the next trial is in 20 s.',
    type: 'hive breakers',
    sinceMs: 90_000,
  },
  {
    what: 'has ended well',
    facts: { run: { ...run, status: 'SUCCESS', finishedAtMs: nowMs - 7_000 }, workers: [], nowMs },
    says: 'The run ended SUCCESS; it waits for nothing.',
    type: 'hive run show run_1',
    sinceMs: 7_000,
  },
  {
    what: 'has failed',
    facts: {
      run: { ...run, status: 'FAILED', finishedAtMs: nowMs, error: { code: 'NODE_FAILED', message: 'scan gave up' } },
      workers: [],
      nowMs,
    },
    says: 'The run ended FAILED: NODE_FAILED, scan gave up',
    type: 'hive run show run_1',
    sinceMs: 0,
  },
])('says why, and what to type, of a run that $what', ({ facts, says, type, sinceMs }) => {
  const why = explain(facts);
  expect(why).toMatchObject({ runId: run.id, status: facts.run.status, explanation: says, sinceMs });
  expect(why.nextCommand).toBe(type);
  const { throttledBy } = facts as WhyFacts;
  expect(why.blocker).toEqual(throttledBy === undefined ? facts.run.blocker : { ...facts.run.blocker, throttledBy });
});

it.each([
  [-5, '0 s'],
  [59_400, '59 s'],
  [59_600, '1 min 0 s'],
  [3_599_000, '59 min 59 s'],
  [90_000_000, '25 h 0 min'],
])('says %d ms as %s', (durationMs, words) => {
  expect(inWords(durationMs)).toBe(words);
});
