/** What the facts of a machine mean for running Hivekeeper on it. Pure. */

import type { HealthReport, Readiness } from '@hivekeeper/contract';
import { durationText } from '../views/words.ts';

/** The facts, as `probe.ts` finds them. */
export interface MachineFacts {
  readonly nodeVersion: string;
  readonly platform: string;
  /** Why bubblewrap cannot make a sandbox; undefined where it can. */
  readonly sandboxFault?: string | undefined;
  readonly cgroup: 'v1' | 'v2' | 'read-only' | 'none';
  readonly hasSetpriv: boolean;
  readonly dataDirectory: string;
  /** Why the data directory cannot be used. */
  readonly dataFault?: string | undefined;
  readonly freeBytes: number;
  readonly url: string;
  /** Who answers at the address. */
  readonly port: 'control-plane' | 'free' | 'stranger' | 'silent';
  /** What the control plane answered to a call with the key. */
  readonly control:
    | { readonly ok: true; readonly version: string; readonly workerCount: number }
    | { readonly ok: false; readonly code: string; readonly message: string };
  /** What the control plane says to anybody; undefined where there is none. */
  readonly readiness?: Readiness | undefined;
  /** What it says to whoever has its key. */
  readonly health?: HealthReport | undefined;
  /** Clock of the control plane minus the clock here. */
  readonly clockSkewMs?: number | undefined;
}

/** One answer of the doctor. */
export interface Check {
  readonly name: string;
  readonly verdict: 'ok' | 'warn' | 'fail';
  readonly finding: string;
  readonly remedy?: string;
}

const leastNodeMajor = 24;
const gib = 1024 ** 3;
const fewFreeBytes = 2 * gib;
const tooFewFreeBytes = 0.25 * gib;
const maxClockSkewMs = 5_000;

const ok = (name: string, finding: string): Check => ({ name, verdict: 'ok', finding });
const warn = (name: string, finding: string, remedy: string): Check => ({ name, verdict: 'warn', finding, remedy });
const fail = (name: string, finding: string, remedy: string): Check => ({ name, verdict: 'fail', finding, remedy });

/** Judges a machine: `fail` where work is impossible, `warn` where some of it is. */
export const judge = (facts: MachineFacts): Check[] => [
  node(facts),
  sandbox(facts),
  cgroup(facts),
  setpriv(facts),
  data(facts),
  disk(facts),
  port(facts),
  control(facts),
  ...work(facts),
  ...runs(facts),
  ...canaries(facts),
  clock(facts),
];

const node = ({ nodeVersion }: MachineFacts): Check =>
  Number(nodeVersion.replace(/^v/, '').split('.')[0]) >= leastNodeMajor
    ? ok('node', nodeVersion)
    : fail('node', `${nodeVersion} is older than ${leastNodeMajor}`, 'Install the project with npm ci; it brings its own Node.');

function sandbox({ sandboxFault, platform }: MachineFacts): Check {
  if (sandboxFault === undefined) return ok('sandbox', 'bubblewrap makes a sandbox');
  const remedy =
    platform === 'linux'
      ? 'Install it (apt-get install bubblewrap) and allow user namespaces (sysctl kernel.unprivileged_userns_clone=1).'
      : 'Sandboxes need Linux.';
  return warn('sandbox', `only agents that ship with the product can run: ${sandboxFault}`, remedy);
}

const cgroup = ({ cgroup: kind }: MachineFacts): Check =>
  kind === 'v1' || kind === 'v2'
    ? ok('cgroup', `${kind}, writable`)
    : warn(
        'cgroup',
        kind === 'none' ? 'there are none' : 'they cannot be written',
        'Run the worker as root or with a delegated cgroup; without, limits are kept per process, not per agent.',
      );

const setpriv = ({ hasSetpriv }: MachineFacts): Check =>
  hasSetpriv
    ? ok('setpriv', 'there')
    : warn('setpriv', 'missing: children may outlive a parent that is killed with -9', 'Install util-linux.');

const data = ({ dataDirectory, dataFault }: MachineFacts): Check =>
  dataFault === undefined
    ? ok('data directory', dataDirectory)
    : fail('data directory', `${dataDirectory}: ${dataFault}`, 'Make it writable, or use another with --data.');

function disk({ freeBytes }: MachineFacts): Check {
  const free = `${(freeBytes / gib).toFixed(1)} GiB free`;
  if (freeBytes >= fewFreeBytes) return ok('disk', free);
  return (freeBytes < tooFewFreeBytes ? fail : warn)('disk', free, 'Free some space: PostgreSQL stops when the disk is full.');
}

function port({ port: answer, url }: MachineFacts): Check {
  if (answer === 'control-plane') return ok('port', `a control plane answers at ${url}`);
  if (answer === 'free') return ok('port', `${url} is free`);
  return fail(
    'port',
    answer === 'stranger' ? `another program answers at ${url}` : `${url} takes connections and does not answer`,
    'Use another port with --port and --url, or stop the other program.',
  );
}

function control({ control: answer }: MachineFacts): Check {
  if (!answer.ok)
    return answer.code === 'UNREACHABLE'
      ? warn('control plane', answer.message, 'Start one with hive up.')
      : fail(
          'control plane',
          `${answer.code}: ${answer.message}`,
          'Pass its key with --token-file or HIVE_TOKEN, or its data directory with --data.',
        );
  if (answer.workerCount === 0)
    return warn('control plane', `version ${answer.version}; no worker is connected`, 'Start one with hive worker.');
  return ok('control plane', `version ${answer.version}, ${answer.workerCount === 1 ? 'a worker' : `${answer.workerCount} workers`}`);
}

function work({ readiness }: MachineFacts): Check[] {
  if (readiness === undefined) return [];
  const { ready, part = 'control plane', detail = 'it takes no new work', remedy = 'Look again in a moment.' } = readiness;
  return [ready ? ok('work', 'moves') : fail('work', `${part}: ${detail}`, remedy)];
}

function runs({ health }: MachineFacts): Check[] {
  if (health === undefined) return [];
  const { stuckRuns, imbalance, acceptedRuns } = health;
  const [first] = stuckRuns;
  if (first !== undefined)
    return [fail('runs', `${stuckRuns.length} are stuck, the first is ${first}`, `See hive why ${first}; restart the control plane.`)];
  if (imbalance !== 0)
    return [
      fail(
        'runs',
        `${acceptedRuns} were accepted, and there are ${acceptedRuns - imbalance}`,
        'Somebody changed the database: hive backup verify.',
      ),
    ];
  return [ok('runs', `${acceptedRuns} accepted, all accounted for, none stuck`)];
}

function canaries({ health }: MachineFacts): Check[] {
  if (health === undefined) return [];
  const broken = health.canaries.find(({ error }) => error !== undefined);
  if (broken?.error !== undefined)
    return [
      warn(
        'canaries',
        `${broken.queue}: ${broken.error.code}, ${broken.error.message}`,
        'Look at the workers’ log: agents of that kind fail there.',
      ),
    ];
  const came = health.canaries.flatMap(({ queue, latencyMs }) => (latencyMs === undefined ? [] : [`${queue} ${durationText(latencyMs)}`]));
  return [ok('canaries', came.length === 0 ? 'none came through yet' : came.join(', '))];
}

function clock({ clockSkewMs }: MachineFacts): Check {
  if (clockSkewMs === undefined) return ok('clock', 'there is no control plane to compare it with');
  if (Math.abs(clockSkewMs) <= maxClockSkewMs) return ok('clock', 'agrees with the control plane’s');
  return warn(
    'clock',
    `differs from the control plane’s by about ${Math.round(Math.abs(clockSkewMs) / 1_000)} s`,
    'Synchronise both with NTP. Leases do not depend on it; what people read does.',
  );
}
