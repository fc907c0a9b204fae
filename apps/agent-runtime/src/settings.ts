import { type SettingValues, type Setting, parseSetting, readSettings } from '@hivekeeper/kernel';
import { HiveError } from '@hivekeeper/contract';

/** Everything an agent reads from outside of its file. */
export const agentSettings = {
  healthPort: {
    variable: 'HEALTH_PORT',
    option: '--port',
    description: 'Port of `/health`, `/ready`, `/live` and `/metrics`; 0 takes a free one.',
    defaultText: '8080',
    parse: parseSetting.integer(0, 65_535),
  },
  healthHost: {
    variable: 'HEALTH_HOST',
    option: '--host',
    description: 'Address they listen on; nothing on them asks who calls.',
    defaultText: '127.0.0.1',
    parse: parseSetting.text,
  },
  state: {
    variable: 'HIVE_AGENT_STATE',
    option: '--state',
    description: 'Directory of the journal of tasks, one per replica; `.hivekeeper/agents/<id>` where absent.',
    parse: parseSetting.text,
  } satisfies Setting<string>,
  drainMs: {
    variable: 'HIVE_AGENT_DRAIN_MS',
    option: '--drain-ms',
    description: 'How long tasks under way may still take after SIGTERM.',
    defaultText: '30000',
    parse: parseSetting.integer(0, 3_600_000),
  },
  logLevel: {
    variable: 'LOG_LEVEL',
    description: 'What is logged: TRACE, DEBUG, INFO, WARN or ERROR.',
    defaultText: 'INFO',
    parse: (text: string) => parseSetting.oneOf('TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR')(text.toUpperCase()),
  },
  logFormat: {
    variable: 'LOG_FORMAT',
    description: 'How: json, pretty or compact, on stdout.',
    defaultText: 'json',
    parse: parseSetting.oneOf('json', 'pretty', 'compact'),
  },
} as const;

/** {@link agentSettings} */
export type AgentSettings = SettingValues<typeof agentSettings>;

/** Options before environment before defaults. @throws HiveError CONFIGURATION_INVALID naming every fault */
export function readAgentSettings(
  options: Partial<Record<keyof typeof agentSettings, string | undefined>>,
  environment: Readonly<Record<string, string | undefined>>,
): AgentSettings {
  const { values, faults } = readSettings(agentSettings, { options, environment });
  if (faults.length === 0) return values;
  throw new HiveError('CONFIGURATION_INVALID', faults.map(({ source, message }) => `${source}: ${message}`).join('; '));
}
