import type { JsonValue } from '@hivekeeper/contract';

/** A message as `hive agent monitor` shows it. */
export interface Sighting {
  /** HH:MM:SS, UTC. */
  readonly timestamp: string;
  readonly message_type: 'AGENT_STATUS' | 'ERROR' | 'INPUT' | 'CONVERSATION' | 'BROADCAST' | 'PROGRESS' | 'UNKNOWN';
  readonly topic: string;
  readonly payload: JsonValue;
}

/** What is looked at. */
export const monitorModes = ['all', 'availability', 'conversations', 'inputs', 'progress'] as const;
/** {@link monitorModes} */
export type MonitorMode = (typeof monitorModes)[number];
/** How it is shown. */
export const monitorFormats = ['pretty', 'compact', 'json'] as const;
/** {@link monitorFormats} */
export type MonitorFormat = (typeof monitorFormats)[number];

/** The filters of what is looked at; one agent's or one conversation's where it is named. */
export function filtersOf(
  mode: MonitorMode,
  { agent = '+', conversation = '+' }: { readonly agent?: string; readonly conversation?: string },
): string[] {
  const filters: Readonly<Record<Exclude<MonitorMode, 'all'>, readonly string[]>> = {
    availability: [`/control/agents/${agent}/status`],
    conversations: [`/conversations/${conversation}/${agent}`],
    inputs: [`/control/agents/${agent}/input`],
    progress: [`/control/agents/${agent}/progress/#`],
  };
  return mode === 'all' ? [...Object.values(filters).flat(), '/control/broadcast'] : [...filters[mode]];
}

/** What was seen. */
export function sightingOf(topic: string, bytes: Uint8Array, nowMs: number): Sighting {
  const text = Buffer.from(bytes).toString('utf8');
  const payload = parsed(text);
  return { timestamp: new Date(nowMs).toISOString().slice(11, 19), message_type: typeOf(topic, payload), topic, payload };
}

function typeOf(topic: string, payload: JsonValue): Sighting['message_type'] {
  if (topic === '/control/broadcast') return 'BROADCAST';
  if (topic.startsWith('/conversations/'))
    return typeof payload === 'object' && payload !== null && 'error' in payload ? 'ERROR' : 'CONVERSATION';
  const part = /^\/control\/agents\/[^/]+\/(status|input|progress)/.exec(topic)?.[1];
  return part === 'status' ? 'AGENT_STATUS' : part === 'input' ? 'INPUT' : part === 'progress' ? 'PROGRESS' : 'UNKNOWN';
}

/** The text of a line, or of several. */
export function sightingText(sighting: Sighting, format: MonitorFormat): string {
  if (format === 'json') return JSON.stringify(sighting);
  const { timestamp, message_type, topic, payload } = sighting;
  const head = `${timestamp} ${message_type.padEnd(12)} ${topic}`;
  return format === 'compact' ? `${head} ${JSON.stringify(payload)}` : `${head}\n${indented(JSON.stringify(payload, undefined, 2))}`;
}

const indented = (text: string): string => text.replace(/^/gm, '  ');

function parsed(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}
