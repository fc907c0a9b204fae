import {
  type Addressee,
  type Envelope,
  type TaskErrorCode,
  canonicalTopic,
  inputTopic,
  readEnvelope,
} from '@hivekeeper/contract/agent2389';

/** A message on an agent's input, as it came. */
export interface InputMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly isRetained: boolean;
}

/**
 * What is to be done about it. `discarded`: nothing, but a line in the log; `refused`: its sender is told why; `accepted`:
 * it is a task, unless it was one before.
 */
export type Verdict =
  | { readonly verdict: 'discarded'; readonly reason: string }
  | { readonly verdict: 'refused'; readonly code: TaskErrorCode; readonly reason: string; readonly addressee: Addressee }
  | { readonly verdict: 'accepted'; readonly envelope: Envelope };

/** Steps 1 to 3, 5 and 6 of nine: received, not retained, meant for us, not nested too deep, and readable. (Step 4 is the journal's.) */
export function judge({ topic, payload, isRetained }: InputMessage, agentId: string): Verdict {
  if (isRetained) return { verdict: 'discarded', reason: 'it was retained' };
  const read = readEnvelope(textOf(payload) ?? '');
  if (read.kind === 'malformed') {
    const { code, reason, addressee } = read;
    return addressee === undefined ? { verdict: 'discarded', reason } : { verdict: 'refused', code, reason, addressee };
  }
  const received = canonicalTopic(topic);
  if (received !== inputTopic(agentId)) return { verdict: 'discarded', reason: `it came on ${received}` };
  if (canonicalTopic(read.envelope.topic) !== received) return { verdict: 'discarded', reason: `its topic names ${read.envelope.topic}` };
  return { verdict: 'accepted', envelope: read.envelope };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function textOf(payload: Uint8Array): string | undefined {
  try {
    return utf8.decode(payload);
  } catch {
    return undefined;
  }
}
