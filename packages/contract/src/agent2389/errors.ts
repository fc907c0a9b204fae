import { entry, type ErrorEntry } from '../error-entry.ts';

/** What goes wrong between agents over MQTT, their broker, tools and models: part of the catalogue. */
export const agent2389Errors = {
  BROKER_REFUSED: entry(502, ['platform', 'terminal'], {
    cause: 'The message broker will not take a message.',
    remedy: 'Look at the broker’s log: rights on the topic, quota, or size.',
  }),
  BROKER_UNREACHABLE: entry(503, ['platform', 'retry'], {
    cause: 'No message broker answers at the address.',
    remedy: 'Start the broker, or correct the address (`broker_url`, --broker).',
  }),
  ANSWER_LATE: entry(504, ['agent', 'retry'], {
    cause: 'No agent answered the task in time.',
    remedy: 'Look at the agent’s status and log; the task may still be answered on its conversation.',
  }),
  AGENT_FILE_INVALID: entry(422, ['agent', 'terminal'], {
    cause: 'The agent’s TOML file cannot be used.',
    remedy: 'Correct what `issues` names; docs/agents-over-mqtt.md lists every key.',
  }),
  AGENT_STATE_IN_USE: entry(409, ['caller', 'terminal'], {
    cause: 'Another process holds the agent’s state directory.',
    remedy: 'Give every replica a --state directory of its own, or stop the other process.',
  }),
  AGENT_NOT_READY: entry(503, ['agent', 'retry'], {
    cause: 'The agent cannot start: a tool or the model is not there.',
    remedy: 'Correct what the message names, then start it again.',
  }),
  TOOL_FAILED: entry(502, ['agent', 'terminal'], {
    cause: 'A tool of an agent did not do what it was called for.',
    remedy: 'The message tells why; the model is told too, and may try something else.',
  }),
  TOOL_TIMED_OUT: entry(504, ['agent', 'retry'], {
    cause: 'A tool of an agent took longer than it may.',
    remedy: 'Look at what it calls, or raise `timeout_ms` of the tool.',
  }),
  ROUTING_FAILED: entry(502, ['platform', 'retry'], {
    cause: 'The router of a workflow gave no decision that can be used.',
    remedy: 'Look at the gatekeeper or the model that `[routing]` names.',
  }),
  MODEL_FAILED: entry(502, ['platform', 'retry'], {
    cause: 'The model’s provider gave no usable answer.',
    remedy: 'Look at the provider’s status, its limits and the key; the message has what it said.',
  }),
} as const satisfies Record<string, ErrorEntry>;
