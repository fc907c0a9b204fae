import type { CommandLimits, VisiblePath } from '../process/index.ts';

/** One container, and all it is given. */
export interface Container {
  /** An image that is on this machine already: none is fetched. */
  readonly image: string;
  /** What is started instead of what the image starts by itself; empty for that. */
  readonly command: readonly string[];
  /** What is set besides the image's own. Reaches the container by name, never by the command line, which others can read. */
  readonly environment: Readonly<Record<string, string>>;
  readonly stdin: string;
  /** Seen under the same paths. */
  readonly mounts: readonly VisiblePath[];
  readonly network: boolean;
  readonly limits: CommandLimits;
}

/** A container engine's command line: Podman's or Docker's. */
export interface Engine {
  readonly name: 'podman' | 'docker';
  /** Absolute path. */
  readonly file: string;
  /** What the engine's own command line sees. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Whose container it is: machine, process and when that was started, so that nobody takes another's for a dead one's. */
export const ownerLabel = 'hivekeeper.worker';
