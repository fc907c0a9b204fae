import { execFile } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const directory = fileURLToPath(new URL('../peers/', import.meta.url));

/** Installs the peers from their lockfile where that has not been done. Returns why it could not be done. */
export async function installPeers(): Promise<string | undefined> {
  if (isInstalled()) return undefined;
  try {
    // Their install scripts report usage or compile optional accelerators: none is needed.
    await promisify(execFile)('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: directory, timeout: 300_000 });
    return undefined;
  } catch (error) {
    const { message } = error as Error;
    return `npm ci failed: ${/^npm error (?!code)(.+)$/m.exec(message)?.[1] ?? message.slice(0, 200)}`;
  }
}

function isInstalled(): boolean {
  const marker = `${directory}node_modules/.package-lock.json`;
  return existsSync(marker) && statSync(marker).mtimeMs >= statSync(`${directory}package-lock.json`).mtimeMs;
}
