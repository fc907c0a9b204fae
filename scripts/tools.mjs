/** What some tests need of the system: the tools that `setup-system.sh` names, and which of them are there. Plain JavaScript without dependencies. */
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export const tools = [...readFileSync(new URL('setup-system.sh', import.meta.url), 'utf8').matchAll(/^need (\S+)/gm)].map(
  ([, tool]) => tool,
);

export function isThere(tool) {
  // Where Debian puts daemons, and not every account looks.
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];
  return directories.some((directory) => {
    try {
      accessSync(join(directory, tool), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
