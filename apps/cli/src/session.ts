import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Client, createClient } from '@hivekeeper/client';
import { HiveError } from '@hivekeeper/contract/hive-error';
import { readConfig } from './config.ts';
import { type Output, outputOn } from './output.ts';
import type { Terminal } from './terminal.ts';

/** Options every command takes, before or after its name. */
export interface GlobalOptions {
  readonly json?: boolean;
  readonly url?: string;
  readonly tokenFile?: string;
  readonly data?: string;
}

/** What a command works with: the terminal, its output, a client of the control plane. */
export interface Session {
  readonly terminal: Terminal;
  readonly output: Output;
  readonly client: Client;
  readonly url: string;
  readonly token: string | undefined;
  /** Absolute. */
  readonly dataDirectory: string;
}

/** Opens a session. Nothing is called yet. @throws HiveError CONFIGURATION_INVALID */
export function openSession(terminal: Terminal, options: GlobalOptions): Session {
  const config = readConfig({ url: options.url, data: options.data }, terminal.environment);
  const dataDirectory = resolve(terminal.workingDirectory, config.data);
  const token = tokenFor({ ...config, dataDirectory, tokenFile: options.tokenFile });
  return {
    terminal,
    output: outputOn(terminal, { isJson: options.json === true }),
    client: createClient({ url: config.url, ...(token !== undefined && { token }) }),
    url: config.url,
    token,
    dataDirectory,
  };
}

interface TokenSources {
  readonly url: string;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly dataDirectory: string;
}

/** The API key: a named file, the environment, or this machine's admin key. @throws HiveError CONFIGURATION_INVALID */
export function tokenFor({ url, token, tokenFile, dataDirectory }: TokenSources): string | undefined {
  if (tokenFile !== undefined)
    return readKey(tokenFile, () => new HiveError('CONFIGURATION_INVALID', `--token-file ${tokenFile} cannot be read`));
  if (token !== undefined) return token;
  // The key of this machine's installation is never sent to another machine.
  return isLoopback(url) ? readKey(resolve(dataDirectory, 'admin.key')) : undefined;
}

function readKey(path: string, fault?: () => HiveError): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    if (fault !== undefined) throw fault();
    return undefined;
  }
}

function isLoopback(url: string): boolean {
  const host = URL.parse(url)?.hostname ?? '';
  return host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host);
}
