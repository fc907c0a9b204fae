import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Clock } from '@hivekeeper/kernel';
import { type CgroupSite, ownerOfGroup } from './cgroup.ts';
import { cgroupV1 } from './cgroup-v1.ts';
import { cgroupV2 } from './cgroup-v2.ts';
import { isProcessAlive } from '@hivekeeper/kernel';

/** The kernel's view of this process: `/proc/self/cgroup` and `/proc/self/mountinfo`, as text. */
export interface CgroupView {
  readonly membership: string;
  readonly mounts: string;
}

/** The files of {@link CgroupView}; empty where there is no /proc. */
export function readCgroupView(): CgroupView {
  const textOf = (path: string) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return '';
    }
  };
  return { membership: textOf('/proc/self/cgroup'), mounts: textOf('/proc/self/mountinfo') };
}

/**
 * Finds a place for groups: as a child of this process's own group (so that limits on the worker also bound its agents),
 * else at the top of the hierarchy. v1 where it has the memory and pids controllers, else v2.
 */
export function findCgroupSite(view: CgroupView, clock: Clock): CgroupSite | undefined {
  const places = new Map(['memory', 'pids', 'cpu'].map((controller) => [controller, placesOf(view, controller)]));
  return cgroupV1(places, clock) ?? cgroupV2(unifiedPlaces(view), clock);
}

/** Kills and removes what workers that are no longer alive left behind, which happens after a SIGKILL of theirs. */
export async function sweepDeadGroups(site: CgroupSite): Promise<void> {
  const dead = site.list().filter((name) => {
    const owner = ownerOfGroup(name);
    return owner !== undefined && !isProcessAlive(owner);
  });
  await Promise.all(
    dead.map((name) => {
      const group = site.open(name);
      group.killAll();
      return group.remove();
    }),
  );
}

/** Candidate directories of a v1 controller, the best first. */
function placesOf(view: CgroupView, controller: string): readonly string[] {
  return candidates(view, {
    mount: (type, options) => type === 'cgroup' && options.split(',').includes(controller),
    membership: (controllers) => controllers.split(',').includes(controller),
  });
}

/**
 * Of the unified hierarchy. A v2 group with processes cannot have children with controllers, hence the parent as well:
 * with systemd's `Delegate=yes` and `DelegateSubgroup=worker` the parent is ours.
 */
function unifiedPlaces(view: CgroupView): readonly string[] {
  const [own, ...rest] = candidates(view, { mount: (type) => type === 'cgroup2', membership: (controllers) => controllers === '' });
  return own === undefined ? [] : [...new Set([own, ...(rest.length > 0 ? [dirname(own)] : []), ...rest])];
}

interface Matcher {
  mount(type: string, options: string): boolean;
  membership(controllers: string): boolean;
}

function candidates({ membership, mounts }: CgroupView, matches: Matcher): readonly string[] {
  const own = ownPath(membership, matches);
  const mount = mounts
    .split('\n')
    .map(readMount)
    .find(({ type, options }) => matches.mount(type, options));
  if (own === undefined || mount === undefined) return [];
  // A container sees its own part of the hierarchy mounted: `root` is what its paths begin with.
  const inside = mount.root !== '/' && own.startsWith(mount.root) ? own.slice(mount.root.length) : own;
  return [...new Set([join(mount.mountPoint, inside), mount.mountPoint])];
}

/** `4:memory:/path`, and `0::/path` for the unified hierarchy. */
function ownPath(membership: string, matches: Matcher): string | undefined {
  const lines = membership.split('\n').map((line) => line.split(':'));
  return lines
    .find(([, controllers, path]) => controllers !== undefined && path !== undefined && matches.membership(controllers))
    ?.slice(2)
    .join(':');
}

/** `36 35 0:30 /root /mount/point options [optional fields] - type source super-options` */
function readMount(line: string): { readonly root: string; readonly mountPoint: string; readonly type: string; readonly options: string } {
  const [left = '', right = ''] = line.split(' - ');
  const [, , , root = '/', mountPoint = '/'] = left.split(' ');
  const [type = '', , options = ''] = right.split(' ');
  return { root, mountPoint, type, options };
}
