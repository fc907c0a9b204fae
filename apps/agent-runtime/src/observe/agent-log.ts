import type { Clock } from '@hivekeeper/kernel';

const levels = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'] as const;
/** As 2389 agents name them. */
export type LogLevel = (typeof levels)[number];
/** What a line tells besides its message. */
export type LogFields = Readonly<Record<string, unknown>>;

/** What a line is written within; `name` and whatever tells one span from another. */
export interface Span {
  readonly name: string;
  readonly [field: string]: unknown;
}

/** Lines that the queries of the 2389 runbook find: `.level`, `.target`, `.fields.message`, `.span.name`, `.span.task_id`. */
export interface AgentLog {
  trace(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same log for a part of the agent: `transport::mqtt` makes the target `agent2389::transport::mqtt`. */
  of(part: string): AgentLog;
  /** The same log within a span. */
  within(span: Span): AgentLog;
}

/** How an agent logs. */
export interface AgentLogOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'pretty' | 'compact';
  readonly clock: Clock;
  readonly write: (line: string) => void;
}

interface Place {
  readonly target: string;
  readonly spans: readonly Span[];
}

interface Line extends Place {
  readonly timestamp: string;
  readonly level: LogLevel;
  readonly fields: LogFields;
}

/** A log. */
export const newAgentLog = (options: AgentLogOptions): AgentLog => logAt(options, { target: 'agent2389', spans: [] });

function logAt(options: AgentLogOptions, { target, spans }: Place): AgentLog {
  const at =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (levels.indexOf(level) < levels.indexOf(options.level)) return;
      const timestamp = new Date(options.clock.nowMs()).toISOString();
      options.write(`${textOf({ timestamp, level, fields: withoutSecrets({ message, ...fields }), target, spans }, options.format)}\n`);
    };
  return {
    ...{ trace: at('TRACE'), debug: at('DEBUG'), info: at('INFO'), warn: at('WARN'), error: at('ERROR') },
    of: (part) => logAt(options, { target: `agent2389::${part}`, spans }),
    within: (span) => logAt(options, { target, spans: [...spans, span] }),
  };
}

// Whatever is logged by mistake, these never reach a line.
const secretName = /password|token$|secret|api_?key|authorization|cookie/i;

function withoutSecrets(fields: LogFields): LogFields {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, secretName.test(name) ? '[redacted]' : value]));
}

function textOf({ spans, ...line }: Line, format: AgentLogOptions['format']): string {
  const span = spans.at(-1);
  if (format === 'json') return JSON.stringify({ ...line, ...(span !== undefined && { span, spans }) });
  const { message, ...fields } = line.fields;
  const told = Object.entries({ ...span, ...fields }).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const head = format === 'pretty' ? `${line.timestamp} ${line.level.padEnd(5)} ${line.target}:` : line.level;
  return [head, message, ...told].join(' ');
}
