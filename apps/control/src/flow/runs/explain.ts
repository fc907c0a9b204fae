import { type Blocker, isTerminal, type RunId, type RunSummary, type Why } from '@hivekeeper/contract';
import type { LiveTicket } from '../tickets/index.ts';

/** What is known when somebody asks why. */
export interface WhyFacts {
  readonly run: RunSummary & { readonly blocker?: Blocker | undefined };
  /** The live ticket the blocker names. */
  readonly ticket?: LiveTicket | undefined;
  /** Whether a connected worker could take that ticket. */
  readonly isServed: boolean;
  readonly nowMs: number;
}

/** Says in one sentence what an unfinished run waits for, and what to type next. Pure. */
export function explain(facts: WhyFacts): Why {
  const { run } = facts;
  const base = { runId: run.id, status: run.status, ...(run.blocker !== undefined && { blocker: run.blocker }) };
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
      return {
        explanation: `The run waits for its turn: at most ${blocker.limit} runs with the key "${blocker.key}" go at once.`,
        nextCommand: `hive runs --status RUNNING`,
        sinceMs: nowMs - run.createdAtMs,
      };
  }
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
  { ticket, isServed, nowMs, run }: WhyFacts,
): Pick<Why, 'explanation' | 'nextCommand' | 'sinceMs'> {
  const others = blocker.otherCount === 0 ? '' : ` (and ${blocker.otherCount} more at work)`;
  if (ticket?.workerId !== undefined) {
    const leasedAtMs = ticket.leasedAtMs ?? nowMs;
    return {
      explanation: `Node ${blocker.nodeId} is being worked on by ${ticket.workerId} for ${inWords(nowMs - leasedAtMs)}${others}.`,
      nextCommand: `hive logs ${runId} --follow`,
      sinceMs: nowMs - leasedAtMs,
    };
  }
  const requirement = ticket?.requirement ?? '';
  if (requirement.startsWith('agent:')) {
    return {
      explanation: `Node ${blocker.nodeId} needs the agent ${requirement.slice(6)}, which is not registered${others}.`,
      nextCommand: 'hive agents register <path>',
      sinceMs: nowMs - run.createdAtMs,
    };
  }
  if (!isServed) {
    return {
      explanation: `Node ${blocker.nodeId} waits for a worker that can run ${requirement} agents; none is connected${others}.`,
      nextCommand: 'hive worker --url <url> --token <token>',
      sinceMs: nowMs - run.createdAtMs,
    };
  }
  return {
    explanation: `Node ${blocker.nodeId} waits for a free worker; all that can run it are busy${others}.`,
    nextCommand: 'hive status',
    sinceMs: nowMs - run.createdAtMs,
  };
}

/** A duration as people say it. */
export function inWords(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1_000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
}
