import { readFileSync } from 'node:fs';

/** The version of an installed peer, read past its `exports`. */
export function versionOf(packageName: string): string {
  const path = new URL(`node_modules/${packageName}/package.json`, import.meta.url);
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
