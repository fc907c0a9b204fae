/** A terminal that keeps what is written, and a control plane that answers what a test tells it. For tests only. */
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '@hivekeeper/kernel/clock';
import { run } from './main.ts';

const stillClock: Clock = {
  nowMs: () => Date.parse('2026-01-02T03:04:05.678Z'),
  monotonicMs: () => 0,
  after: () => ({ cancel: () => undefined, [Symbol.dispose]: () => undefined }),
  every: () => ({ cancel: () => undefined, [Symbol.dispose]: () => undefined }),
};

/** What a command did. */
export interface Ending {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, in the order in which they were written: what a person at a terminal sees. */
  readonly screen: string;
}

/** Runs `hive` with the arguments, in this process. */
export async function hive(
  args: readonly string[],
  {
    environment = {},
    workingDirectory = process.cwd(),
    ask,
  }: {
    readonly environment?: Readonly<Record<string, string>>;
    readonly workingDirectory?: string;
    /** What the person at the terminal says; nobody is there where absent. */
    readonly ask?: (question: string) => Promise<boolean>;
  } = {},
): Promise<Ending> {
  const written = { stdout: '', stderr: '', screen: '' };
  const write = (name: 'stdout' | 'stderr') => (text: string) => {
    written[name] += text;
    written.screen += text;
  };
  const screen = (name: 'stdout' | 'stderr') => ({ isTTY: false, columns: 200, write: write(name) });
  const exitCode = await run(args, {
    stdout: screen('stdout'),
    stderr: screen('stderr'),
    environment,
    workingDirectory,
    clock: stillClock,
    ...(ask !== undefined && { ask }),
  });
  return { exitCode, ...written };
}

/** A request the control plane got. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly body: string;
  readonly headers: IncomingMessage['headers'];
}

/** What to answer: a document, or whatever the function writes. */
export type Answer = { readonly status?: number; readonly body: unknown } | ((response: ServerResponse) => void);

/** A control plane by a table of `METHOD /path` (without the query); anything else is NOT_FOUND. */
export async function controlPlane(answers: Readonly<Record<string, Answer>>) {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const call = {
        method: request.method ?? '',
        url: request.url ?? '',
        body: Buffer.concat(chunks).toString(),
        headers: request.headers,
      };
      seen.push(call);
      const answer = answers[`${call.method} ${call.url.split('?')[0]}`] ?? {
        status: 404,
        body: { error: { code: 'NOT_FOUND', message: `there is no ${call.url}`, remedy: '' } },
      };
      if (typeof answer === 'function') answer(response);
      else response.writeHead(answer.status ?? 200, { 'content-type': 'application/json' }).end(JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
