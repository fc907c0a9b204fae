import {
  type Blocker,
  isTerminal,
  labelSchema,
  type RunId,
  type RunSummary,
  type ThrottledBy,
  type Why,
  type WorkerView,
} from '@hivekeeper/contract';
import type { LiveTicket } from '../tickets/index.ts';

/** What is known when somebody asks why. */
export interface WhyFacts {
  readonly run: RunSummary & { readonly blocker?: Blocker | undefined };
  /** The live ticket the blocker names. */
  readonly ticket?: LiveTicket | undefined;
  /** What lets that ticket wait though a worker may be free. */
  readonly throttledBy?: ThrottledBy | undefined;
  /** Each worker that is registered here; what it has is what it found out about itself, and its labels. */
  readonly workers: readonly Pick<WorkerView, 'name' | 'state' | 'capabilities' | 'lacks' | 'lastSeenAtMs'>[];
  /** What is heard of the agent over MQTT that the ticket is for, where it is for one. */
  readonly overMqtt?: AgentOverMqtt | undefined;
  /** The oldest runs whose turn it is, where the blocker is that it is not yet this one's. */
  readonly holders?: readonly RunId[] | undefined;
  readonly nowMs: number;
}

/** An agent over MQTT as the control plane knows it that was asked. */
export interface AgentOverMqtt {
  readonly name: string;
  /** `none`: this control plane has no broker; `away`: it cannot be reached. */
  readonly broker: 'none' | 'away' | 'there';
  readonly replicaCount: number;
}

/** Says in one sentence what an unfinished run waits for, and what to type next. Pure. */
export function explain(facts: WhyFacts): Why {
  const { run, throttledBy } = facts;
  const blocker = run.blocker?.kind === 'ticket' && throttledBy !== undefined ? { ...run.blocker, throttledBy } : run.blocker;
  const base = { runId: run.id, status: run.status, ...(blocker !== undefined && { blocker }) };
  if (isTerminal(run.status)) {
    return {
      ...base,
      explanation: endOf(run),
      nextCommand: `hive run show ${run.id}`,
      sinceMs: facts.nowMs - (run.finishedAtMs ?? facts.nowMs),
    };
  }
  if (run.blocker === undefined)
    return { ...base, explanation: 'The run was accepted and has not been worked on yet.', sinceMs: facts.nowMs - run.createdAtMs };
  return { ...base, ...because(run.id, run.blocker, facts) };
}

const endOf = (run: RunSummary): string =>
  run.error === undefined
    ? `The run ended ${run.status}; it waits for nothing.`
    : `The run ended ${run.status}: ${run.error.code}, ${run.error.message}`;

function because(runId: RunId, blocker: Blocker, facts: WhyFacts): Pick<Why, 'explanation' | 'nextCommand' | 'sinceMs'> {
  const { nowMs, run } = facts;
  switch (blocker.kind) {
    case 'approval':
      return {
        explanation: `Node ${blocker.nodeId} waits for a person to approve it; the request expires in ${inWords(blocker.expiresAtMs - nowMs)}.`,
        nextCommand: `hive approve ${blocker.approvalId}`,
        sinceMs: nowMs - run.createdAtMs,
      };
    case 'retry':
      return {
        explanation: `Node ${blocker.nodeId} failed (${blocker.lastError.code}: ${blocker.lastError.message}) and is tried again in ${inWords(blocker.dueAtMs - nowMs)}.`,
        nextCommand: `hive run show ${runId}`,
        sinceMs: nowMs - run.createdAtMs,
      };
    case 'ticket':
      return becauseOfTicket(runId, blocker, facts);
    case 'timer':
      return {
        explanation: `Node ${blocker.nodeId} sleeps and goes on in ${inWords(blocker.dueAtMs - nowMs)}.`,
        nextCommand: `hive run show ${runId}`,
        sinceMs: nowMs - run.createdAtMs,
      };
    case 'signal':
      return becauseOfSignal(runId, blocker, facts);
    case 'effect_unknown':
      return {
        explanation: `Node ${blocker.nodeId} called ${blocker.tool}, and nobody knows whether it took effect; a person must look and say.`,
        nextCommand: `hive effects resolve ${blocker.effectId}`,
        sinceMs: nowMs - run.createdAtMs,
      };
    case 'paused':
      return {
        explanation: `The run is paused by ${blocker.by}${blocker.reason === undefined ? '' : ` (${blocker.reason})`}; nothing of it is handed out.`,
        nextCommand: `hive run resume ${runId}`,
        sinceMs: nowMs - blocker.sinceMs,
      };
    case 'concurrency':
      return becauseOfTurn(blocker, facts);
  }
}

function becauseOfTurn(
  { key, limit }: Extract<Blocker, { kind: 'concurrency' }>,
  { holders = [], nowMs, run }: WhyFacts,
): Pick<Why, 'explanation' | 'nextCommand' | 'sinceMs'> {
  const [holder] = holders;
  const some = limit === 1 ? 'one run' : `${limit} runs`;
  const goes = limit === 1 ? 'goes' : 'go';
  const before = holder === undefined ? 'it begins in a moment' : `${holder}${holders.length > 1 ? ' and others have' : ' has'} not ended`;
  return {
    explanation: `The run waits for its turn: ${some} with the key "${key}" ${goes} at a time, and ${before}.`,
    nextCommand: holder === undefined ? 'hive runs --status RUNNING' : `hive why ${holder}`,
    sinceMs: nowMs - run.createdAtMs,
  };
}

function becauseOfSignal(
  runId: RunId,
  blocker: Extract<Blocker, { kind: 'signal' }>,
  { nowMs, run }: WhyFacts,
): Pick<Why, 'explanation' | 'nextCommand' | 'sinceMs'> {
  const isEvent = blocker.name.startsWith('event:');
  const name = isEvent ? blocker.name.slice('event:'.length) : blocker.name;
  const key = blocker.key === undefined ? '' : ` with key "${blocker.key}"`;
  const keyOption = blocker.key === undefined ? '' : ` --key ${blocker.key}`;
  return {
    explanation: `Node ${blocker.nodeId} waits for the ${isEvent ? 'event' : 'signal'} ${name}${key}, for ${inWords(blocker.expiresAtMs - nowMs)} more.`,
    nextCommand: isEvent ? `hive publish ${name}${keyOption}` : `hive signal ${runId} ${name}${keyOption}`,
    sinceMs: nowMs - run.createdAtMs,
  };
}

function becauseOfTicket(
  runId: RunId,
  blocker: Extract<Blocker, { kind: 'ticket' }>,
  { ticket, throttledBy, workers, overMqtt, nowMs, run }: WhyFacts,
): Pick<Why, 'explanation' | 'nextCommand' | 'sinceMs'> {
  if (ticket === undefined) {
    return {
      explanation: `Node ${blocker.nodeId} moved on while you asked.`,
      nextCommand: `hive why ${runId}`,
      sinceMs: 0,
    };
  }
  const others = blocker.otherCount === 0 ? '' : ` (and ${blocker.otherCount} more at work)`;
  if (ticket.workerId !== undefined) {
    const leasedAtMs = ticket.leasedAtMs ?? nowMs;
    const quietMs = nowMs - (ticket.progressedAtMs ?? leasedAtMs);
    if (overMqtt !== undefined) return becauseOfAnswer(blocker.nodeId, overMqtt, { runId, nowMs, leasedAtMs, others });
    const isAlive = (ticket.leaseUntilMs ?? 0) > nowMs;
    const quiet = quietMs < quietAfterMs || !isAlive ? '' : `; the worker is alive, but no progress was reported for ${inWords(quietMs)}`;
    return {
      explanation: `Node ${blocker.nodeId} is being worked on by ${ticket.workerId} for ${inWords(nowMs - leasedAtMs)}${others}${quiet}.`,
      nextCommand: `hive logs ${runId} --follow`,
      sinceMs: nowMs - leasedAtMs,
    };
  }
  if (throttledBy !== undefined)
    return { ...becauseThrottled(blocker.nodeId, throttledBy, { nowMs, others }), sinceMs: nowMs - run.createdAtMs };
  if (overMqtt !== undefined) return { ...becauseOfPresence(blocker.nodeId, overMqtt, others), sinceMs: nowMs - run.createdAtMs };
  return { ...becauseUnheld(blocker.nodeId, ticket.requirement.split(' '), { workers, others, nowMs }), sinceMs: nowMs - run.createdAtMs };
}

/** An agent over MQTT has the task. */
function becauseOfAnswer(
  nodeId: string,
  heard: AgentOverMqtt,
  at: { readonly runId: RunId; readonly nowMs: number; readonly leasedAtMs: number; readonly others: string },
): Pick<Why, 'explanation' | 'nextCommand' | 'sinceMs'> {
  const sinceMs = at.nowMs - at.leasedAtMs;
  return {
    explanation: `Node ${nodeId} waits for the answer of ${heard.name} over MQTT for ${inWords(sinceMs)}${at.others}; ${inPlainPresence(heard)}.`,
    nextCommand: heard.replicaCount === 0 ? 'hive agents' : `hive logs ${at.runId} --follow`,
    sinceMs,
  };
}

/** An agent over MQTT does not have the task yet. */
const becauseOfPresence = (nodeId: string, heard: AgentOverMqtt, others: string): Pick<Why, 'explanation' | 'nextCommand'> => ({
  explanation: `Node ${nodeId} waits for ${heard.name} over MQTT${others}; ${inPlainPresence(heard)}.`,
  nextCommand: heard.broker === 'there' ? 'hive agents' : 'hive doctor',
});

function inPlainPresence({ broker, replicaCount }: AgentOverMqtt): string {
  if (broker === 'none') return 'MQTT_URL is not set here, so this control plane cannot reach it';
  if (broker === 'away') return 'the broker cannot be reached';
  if (replicaCount === 0) return 'no replica of it is there';
  return replicaCount === 1 ? 'a replica of it is there' : `${replicaCount} replicas of it are there`;
}

// Agents that report at all do so more often.
const quietAfterMs = 60_000;

function becauseThrottled(
  nodeId: string,
  throttledBy: ThrottledBy,
  { nowMs, others }: { readonly nowMs: number; readonly others: string },
): Pick<Why, 'explanation' | 'nextCommand'> {
  switch (throttledBy.kind) {
    case 'concurrency': {
      const { key, limit, holderCount, holders } = throttledBy;
      const [first] = holders;
      const more = holderCount > 1 ? ` and ${holderCount - 1} more` : '';
      const holder =
        first === undefined
          ? ''
          : `: node ${first.nodeId} of ${first.runId} at ${first.workerId} for ${inWords(nowMs - first.leasedAtMs)}${more}`;
      return {
        explanation: `Node ${nodeId} waits for its turn: ${limit} with the key "${key}" may be under way, and ${holderCount} are${holder}${others}.`,
        ...(first !== undefined && { nextCommand: `hive why ${first.ticketId}` }),
      };
    }
    case 'rate': {
      const { key, limit, windowMs, roomAtMs } = throttledBy;
      return {
        explanation: `Node ${nodeId} waits for its turn: ${limit} with the key "${key}" may start per ${inWords(windowMs)}; the next one in ${inWords(roomAtMs - nowMs)}${others}.`,
        nextCommand: 'hive agents',
      };
    }
    case 'breaker':
      return {
        explanation: `Node ${nodeId} waits because its agent failed too often (${throttledBy.key} is ${throttledBy.state}${causeOf(throttledBy)}); ${trialOf(throttledBy, nowMs)}${others}.`,
        nextCommand: 'hive breakers',
      };
    case 'budget': {
      const { capMicroUsd, settledMicroUsd, reservedMicroUsd, neededMicroUsd, turnsAtMs, scope, name, period } = throttledBy;
      const gone = `${inDollars(settledMicroUsd)} of ${inDollars(capMicroUsd)} are spent and ${inDollars(reservedMicroUsd)} reserved`;
      const turn = turnsAtMs === undefined ? '' : `; it begins anew in ${inWords(turnsAtMs - nowMs)}`;
      return {
        explanation: `Node ${nodeId} may cost ${inDollars(neededMicroUsd)}, more than is left of ${inPlainBudget(throttledBy)}: ${gone}${turn}${others}.`,
        nextCommand: `hive budgets set ${scope}${name === '' ? '' : `:${name}`} --per ${period} --usd <more>`,
      };
    }
    case 'dependency': {
      const { name, sinceAtMs, state } = throttledBy;
      const down = `${name}, which its agent depends on, is down for ${inWords(nowMs - sinceAtMs)} (its breaker is ${state}${causeOf(throttledBy)})`;
      return {
        explanation: `Node ${nodeId} waits because ${down}; ${trialOf(throttledBy, nowMs)}${others}.`,
        nextCommand: 'hive breakers',
      };
    }
  }
}

/** "the budget of workflow review for this month" */
function inPlainBudget({ scope, name, period }: Extract<ThrottledBy, { readonly kind: 'budget' }>): string {
  const whose = { tenant: 'everything', workflow: `workflow ${name}`, agent: `agent ${name}`, run: name, key: `key ${name}` }[scope];
  return `the budget of ${whose}${period === 'total' ? '' : ` for this ${period}`}`;
}

const inDollars = (microUsd: number): string => `$${(microUsd / 1_000_000).toFixed(microUsd > 0 && microUsd < 10_000 ? 6 : 2)}`;

type Broken = Extract<ThrottledBy, { readonly kind: 'breaker' | 'dependency' }>;

const causeOf = ({ cause }: Broken): string => (cause === undefined ? '' : `, ${cause}`);

function trialOf({ nextTrialAtMs, trialTicketId }: Broken, nowMs: number): string {
  if (nextTrialAtMs === undefined) return `ticket ${trialTicketId} tries whether it goes well again`;
  return nextTrialAtMs > nowMs ? `the next trial is in ${inWords(nextTrialAtMs - nowMs)}` : 'the next trial is due';
}

function becauseUnheld(
  nodeId: string,
  needed: readonly string[],
  { workers, others, nowMs }: Pick<WhyFacts, 'workers' | 'nowMs'> & { readonly others: string },
): Pick<Why, 'explanation' | 'nextCommand'> {
  const agent = needed.find((capability) => capability.startsWith(awaitedAgent))?.slice(awaitedAgent.length);
  if (agent !== undefined) {
    return {
      explanation: `Node ${nodeId} needs the agent ${agent}, which is not registered${others}.`,
      // The command registers in project 1.
      ...(!agent.includes('/') && { nextCommand: 'hive agents register <path>' }),
    };
  }
  const able = workers.filter(({ capabilities }) => needed.every((capability) => capabilities.includes(capability)));
  if (able.some(({ state }) => state === 'connected')) {
    return {
      explanation: `Node ${nodeId} waits for a free worker; all that can run it are busy${others}.`,
      nextCommand: 'hive status',
    };
  }
  const [away] = able;
  if (away !== undefined) {
    const more = able.length === 1 ? '' : `, and ${able.length - 1} more that can run it take nothing either`;
    return {
      explanation: `Node ${nodeId} waits for a worker that ${inPlain(needed, 'and')}; ${whyItTakesNothing(away, nowMs)}${more}${others}.`,
      nextCommand: 'hive status',
    };
  }
  const options = needed.filter(isLabel).map((label) => ` --label ${label}`);
  return {
    explanation: `Node ${nodeId} waits for a worker that ${inPlain(needed, 'and')}; ${whatIsMissing(needed, workers)}${others}.`,
    nextCommand: `hive worker --url <url> --token <token>${options.join('')}`,
  };
}

const awaitedAgent = 'agent:';
const isLabel = (capability: string): boolean => labelSchema.safeParse(capability).success;

/** "can run node agents and has the label eu and has the label gpu" */
const inPlain = (capabilities: readonly string[], joint: 'and' | 'or'): string =>
  capabilities
    .toSorted((a, b) => Number(isLabel(a)) - Number(isLabel(b)))
    .map((capability) => (isLabel(capability) ? `has the label ${capability}` : `can run ${capability} agents`))
    .join(` ${joint} `);

/** "worker eu-1 is cordoned" */
function whyItTakesNothing({ name, state, lastSeenAtMs }: WhyFacts['workers'][number], nowMs: number): string {
  return state === 'silent' ? `worker ${name} was last heard ${inWords(nowMs - lastSeenAtMs)} ago` : `worker ${name} is ${state}`;
}

function whatIsMissing(needed: readonly string[], workers: WhyFacts['workers']): string {
  const connected = workers.filter(({ state }) => state === 'connected');
  if (connected.length === 0) return 'no worker is connected';
  const missing = needed.filter((capability) => !connected.some(({ capabilities }) => capabilities.includes(capability)));
  if (missing.length === 0) return 'no connected worker has all of that';
  return `no connected worker ${inPlain(missing, 'or')}${whyNot(missing, connected)}`;
}

/** " (local-1: neither podman nor docker is on the PATH)" */
function whyNot(missing: readonly string[], workers: WhyFacts['workers']): string {
  const reasons = workers.flatMap(({ name, lacks = {} }) =>
    missing.flatMap((capability) => (lacks[capability] === undefined ? [] : [`${name}: ${lacks[capability]}`])),
  );
  const [first] = reasons;
  return first === undefined ? '' : ` (${first}${reasons.length === 1 ? '' : `, and ${reasons.length - 1} more`})`;
}

/** A duration as people say it. */
export function inWords(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1_000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3_600)} h`;
}
