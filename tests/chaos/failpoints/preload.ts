/**
 * Loaded before the product (`node --import`), which knows nothing of it: watches the two ports through which a process
 * of the core path acts on the world, its database connection and HTTP, and kills the process at the one place that is
 * armed. Armed is what the file HIVE_FAILPOINT names holds; the file is taken away first, so that it happens once.
 */
import { readFileSync, renameSync } from 'node:fs';
import { ServerResponse } from 'node:http';
import pg from 'pg';
import { textOf } from './points.ts';

const file = process.env['HIVE_FAILPOINT'] ?? '';

function reach(when: 'before' | 'after', names: readonly string[]): void {
  let armed: string;
  try {
    armed = readFileSync(file, 'utf8');
  } catch {
    return;
  }
  if (!names.some((name) => textOf({ name, when }) === armed)) return;
  renameSync(file, `${file}.hit`);
  process.kill(process.pid, 'SIGKILL');
  for (;;); // not one step further
}

const statements = [
  ['UPDATE tickets SET lease_until', 'statement renew'],
  ['lease_until < now()', 'statement expired'],
  ['AS is_due', 'statement due'],
  ['SELECT events FROM run_journal', 'statement fold'],
] as const;

/** What a statement is; of a commit, everything that its batch stores. */
function namesOfStatement(text: string, values: readonly unknown[]): readonly string[] {
  const known = statements.filter(([part]) => text.includes(part)).map(([, name]) => name);
  if (!text.includes('commit_runs')) return known;
  // Arrays of documents: text in text, whose quotes are escaped once or more.
  const stored = JSON.stringify(values).replaceAll('\\', '');
  const events = [...new Set([...stored.matchAll(/"type":"((?:run|ticket|approval)\.[a-z]+)"/g)].map(([, type]) => `commit ${type}`))];
  return stored.includes('wrk_') ? [...events, 'commit leases'] : events;
}

const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
pg.Client.prototype.query = function (this: pg.Client, ...args: unknown[]) {
  const [first] = args as [{ readonly text?: string; readonly values?: readonly unknown[] } | string];
  const names = typeof first === 'object' ? namesOfStatement(first.text ?? '', first.values ?? []) : [];
  if (names.length === 0) return query.apply(this, args);
  reach('before', names);
  return (query.apply(this, args) as Promise<unknown>).then((result) => {
    reach('after', names);
    return result;
  });
} as typeof pg.Client.prototype.query;

const routes = [
  [/^\/v1\/workflows\/[^/]+\/runs$/, 'start'],
  [/^\/v1\/runs\/[^/]+\/cancel$/, 'cancel'],
  [/^\/v1\/approvals\/[^/]+\/decision$/, 'decision'],
  [/^\/v1\/worker\/([a-z]+)$/, ''],
] as const;

function nameOfRoute(path: string): string | undefined {
  for (const [pattern, name] of routes) {
    const match = pattern.exec(path);
    if (match !== null) return name === '' ? match[1] : name;
  }
  return undefined;
}

const end = ServerResponse.prototype.end as (...args: unknown[]) => ServerResponse;
ServerResponse.prototype.end = function (this: ServerResponse, ...args: unknown[]) {
  const { method, url = '' } = this.req;
  const route = method === 'POST' && this.statusCode < 300 ? nameOfRoute(url) : undefined;
  if (route === undefined) return end.apply(this, args);
  reach('before', [`answer ${route}`]);
  this.once('finish', () => reach('after', [`answer ${route}`]));
  return end.apply(this, args);
} as typeof ServerResponse.prototype.end;

const { fetch } = globalThis;
globalThis.fetch = async (input, init) => {
  const call = nameOfRoute(new URL(String(input)).pathname);
  reach('before', [`call ${call}`]);
  const response = await fetch(input, init);
  // The whole answer has arrived, and nobody has read it.
  const answer = new Response(response.status === 204 ? null : await response.arrayBuffer(), response);
  reach('after', [`call ${call}`]);
  return answer;
};
