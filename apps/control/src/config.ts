import { eventPatternSchema, HiveError } from '@hivekeeper/contract';
import { parseSetting, readSettings, type SettingFault, type Setting, type SettingValues } from '@hivekeeper/kernel';

const setting = <T, S extends Setting<T>>(value: S & Setting<T>): S => value;

/** Everything the control plane can be told; `docs/configuration.md` is generated from this table. */
export const controlSettings = {
  dataDirectory: setting({
    variable: 'HIVE_DATA',
    option: '--data',
    description: 'Where the database, the admin key and reports lie.',
    defaultText: './.hivekeeper',
    parse: parseSetting.text,
  }),
  host: setting({
    variable: 'HIVE_HOST',
    option: '--host',
    description: 'Address to listen on.',
    defaultText: '127.0.0.1',
    parse: parseSetting.text,
  }),
  port: setting({
    variable: 'HIVE_PORT',
    option: '--port',
    description: 'Port to listen on; 0 takes a free one.',
    defaultText: '9002',
    parse: parseSetting.integer(0, 65_535),
  }),
  grpcPort: setting({
    variable: 'HIVE_GRPC_PORT',
    description: 'Port for the registry over gRPC, at the same address; 0 takes a free one. Not served when unset.',
    parse: parseSetting.integer(0, 65_535),
  }),
  publicUrl: setting({
    variable: 'HIVE_PUBLIC_URL',
    description: 'Address under which people reach this control plane, for the links it makes; that of the call that makes one when unset.',
    parse: parseSetting.text,
  }),
  isOpen: setting({
    variable: 'HIVE_NO_AUTH',
    option: '--no-auth',
    description: 'Serve loopback callers without a key. Refused on any other address.',
    defaultText: 'false',
    parse: parseSetting.flag,
  }),
  workerCount: setting({
    variable: 'HIVE_WORKERS',
    option: '--workers',
    description: 'Worker processes to run on this machine.',
    defaultText: '0',
    parse: parseSetting.integer(0, 64),
  }),
  roots: setting({
    variable: 'HIVE_ROOTS',
    option: '--root',
    description: 'Directories, separated by colons, below which the local workers may grant agents paths; the current one when unset.',
    parse: parseSetting.text,
  }),
  apiPerMinute: setting({
    variable: 'HIVE_API_RATE_PER_MINUTE',
    description: 'Calls one address may make to `/api` in a minute; 0 for any number. Behind a proxy all have the address of the proxy.',
    defaultText: '100',
    parse: parseSetting.integer(0, 1_000_000_000),
  }),
  v1PerMinute: setting({
    variable: 'HIVE_V1_RATE_PER_MINUTE',
    description: 'Calls one key may make to `/v1` in a minute; 0 for any number. Calls of workers do not count.',
    defaultText: '60000',
    parse: parseSetting.integer(0, 1_000_000_000),
  }),
  databaseUrl: setting({
    variable: 'DATABASE_URL',
    description: 'PostgreSQL 15 or newer to use instead of the embedded one.',
    parse: parsePostgresUrl,
  }),
  natsUrl: setting({
    variable: 'NATS_URL',
    description:
      'NATS server whose messages are events, and that is told which runs end and which approvals are requested. None when unset.',
    parse: parseNatsUrl,
  }),
  natsSubjects: setting({
    variable: 'HIVE_NATS_SUBJECTS',
    description:
      'Subjects whose messages are events, separated by commas, besides `workflow.trigger.*`, `graph.>`, `health.>` and `hub.>`.',
    parse: parseSubjects,
  }),
  mqttUrl: setting({
    variable: 'MQTT_URL',
    description: 'MQTT broker (`mqtt://`, `mqtts://`) whose 2389 agents do nodes of the form `agent: mqtt/<id>`; none when unset.',
    parse: parseMqttUrl,
  }),
  mqttPort: setting({
    variable: 'HIVE_MQTT_PORT',
    option: '--mqtt',
    description: 'Run an MQTT 3.1.1 broker of its own on this port of 127.0.0.1, and use it; 0 takes a free one. It keeps nothing on disk.',
    parse: parseSetting.integer(0, 65_535),
  }),
  mqttUsername: setting({
    variable: 'MQTT_USERNAME',
    description: 'Who the control plane is at the MQTT broker.',
    parse: parseSetting.text,
  }),
  mqttPassword: setting({
    variable: 'MQTT_PASSWORD',
    description: 'The password to it.',
    parse: parseSetting.text,
  }),
  modelsFile: setting({
    variable: 'HIVE_MODELS',
    description: 'The models file: providers, models, their prices and classes. Without it there is no model gateway.',
    parse: parseSetting.text,
  }),
  backupDirectory: setting({
    variable: 'HIVE_BACKUPS',
    option: '--backups',
    description: 'Where backups are written, preferably another disk; `backups` in the data directory when unset.',
    parse: parseSetting.text,
  }),
  databaseConnections: setting({
    variable: 'HIVE_DATABASE_CONNECTIONS',
    description: 'Connections each of the two pools may open.',
    defaultText: '8',
    parse: parseSetting.integer(2, 200),
  }),
  leaseMs: setting({
    variable: 'HIVE_LEASE_MS',
    description: 'How long a ticket stays with a worker that says nothing, in milliseconds.',
    defaultText: '10000',
    parse: parseSetting.integer(1_000, 600_000),
  }),
  canaryMs: setting({
    variable: 'HIVE_CANARY_MS',
    description: 'Time between two canaries of a queue, in milliseconds; 0: none are sent.',
    defaultText: '30000',
    parse: parseSetting.integer(0, 3_600_000),
  }),
  liveRuns: setting({
    variable: 'HIVE_LIVE_RUNS',
    description: 'Unfinished runs kept in memory.',
    defaultText: '5000',
    parse: parseSetting.integer(10, 1_000_000),
  }),
  drainMs: setting({
    variable: 'HIVE_DRAIN_MS',
    description: 'How long a stopping process waits for what it began, in milliseconds.',
    defaultText: '25000',
    parse: parseSetting.integer(0, 600_000),
  }),
  logLevel: setting({
    variable: 'HIVE_LOG_LEVEL',
    description: 'Least severe lines that are logged.',
    defaultText: 'info',
    parse: parseSetting.oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
  }),
} as const;

/** The values in force. */
export type ControlConfig = SettingValues<typeof controlSettings>;

/** Options as the command line gives them, by the names of {@link controlSettings}. */
export type ControlOptions = Readonly<Partial<Record<keyof typeof controlSettings, string>>>;

function parsePostgresUrl(text: string): string {
  // A password may stand in it: what was given is not repeated.
  if (!/^postgres(ql)?:$/.test(URL.parse(text)?.protocol ?? ''))
    throw new RangeError('expected an address that begins with postgres:// or postgresql://');
  return text;
}

function parseNatsUrl(text: string): string {
  // As above: a password may stand in it.
  if (!/^nats:\/\/./.test(text) || !URL.canParse(text)) throw new RangeError('expected an address such as nats://127.0.0.1:4222');
  return text;
}

function parseSubjects(text: string): readonly string[] {
  const subjects = text
    .split(',')
    .map((subject) => subject.trim())
    .filter(Boolean);
  for (const subject of subjects) {
    const fault = eventPatternSchema.safeParse(subject).error?.issues[0];
    if (fault !== undefined) throw new RangeError(`"${subject}" is no subject: ${fault.message}`);
  }
  return subjects;
}

function parseMqttUrl(text: string): string {
  const url = URL.parse(text);
  // A password in an address ends up in logs; it has a variable of its own.
  if (url === null || !/^mqtts?:$/.test(url.protocol) || url.hostname === '' || url.username !== '')
    throw new RangeError('expected an address such as mqtt://broker.example.org:1883 or mqtts://…, without user and password');
  return text;
}

const loopback = new Set(['127.0.0.1', '::1', 'localhost']);

const faultOf = (variable: string, message: string): SettingFault => ({ variable, source: variable, message });

/** True for an address that paths can be put behind. */
function isPlace(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '';
}

/** Reads the configuration once. @throws HiveError CONFIGURATION_INVALID naming every variable at fault */
export function readConfig(options: ControlOptions, environment: Readonly<Record<string, string | undefined>>): ControlConfig {
  const { values, faults } = readSettings(controlSettings, { options, environment });
  const all = [...faults];
  if (values.isOpen && !loopback.has(values.host))
    all.push(faultOf('HIVE_NO_AUTH', `without authentication only loopback may be served, not ${values.host}`));
  if (values.publicUrl !== undefined && !isPlace(values.publicUrl))
    all.push(faultOf('HIVE_PUBLIC_URL', 'expected an address such as https://hive.example.org'));
  if (values.mqttUrl !== undefined && values.mqttPort !== undefined)
    all.push(faultOf('HIVE_MQTT_PORT', 'MQTT_URL names a broker already; set one of them'));
  if (all.length > 0) {
    throw new HiveError('CONFIGURATION_INVALID', all.map(({ source, message }) => `${source}: ${message}`).join('; '), {
      issues: all.map(({ variable, message }) => ({ path: `/${variable}`, message })),
    });
  }
  return values;
}
