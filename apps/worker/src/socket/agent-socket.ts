import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { errorBodyOf, HiveError } from '@hivekeeper/contract';
import type { ModelRelay } from './model-relay.ts';
import { answerTo, jsonOf } from './questions.ts';
import type { SocketPlace } from './room.ts';
import type { SessionLedger } from './session-ledger.ts';

/** Where an agent's questions go. */
export interface AgentWays {
  readonly ledger: SessionLedger;
  readonly models: ModelRelay;
}

/** A socket that is served. Disposing it ends every call and removes it. */
export interface AgentSocket extends AsyncDisposable {
  readonly directory: string;
  readonly path: string;
}

const mostBodyBytes = 256 * 1024;
/** Of a call of a model, in which pictures and documents travel. */
const mostQuestionBytes = 32 * 1024 * 1024;
const mostCalls = 10_000;
/** Of all bodies of one execution: what an agent tells is stored. */
const mostTotalBytes = 64 * 1024 * 1024;
const mostAtOnce = 64;

/** Serves one agent's questions by HTTP on a Unix socket, which needs no network and is reached by nobody who does not see it. */
export async function serveAgent(place: SocketPlace, ways: AgentWays): Promise<AgentSocket> {
  const limit = newLimit();
  const server = createServer((request, response) => void serve(request, response, { ...ways, limit }));
  server.maxConnections = mostAtOnce;
  server.listen({ path: place.path, readableAll: true, writableAll: true });
  await once(server, 'listening');
  return { directory: place.directory, path: place.path, [Symbol.asyncDispose]: () => close(server, place) };
}

interface Limit {
  /** @throws HiveError AGENT_CALLS_TOO_MANY */
  enter(): void;
  /** @throws HiveError AGENT_CALLS_TOO_MANY */
  weigh(sizeBytes: number): void;
  leave(): void;
}

function newLimit(): Limit {
  let calls = 0;
  let atOnce = 0;
  let totalBytes = 0;
  return {
    enter: () => {
      calls += 1;
      if (calls > mostCalls || atOnce >= mostAtOnce) throw new HiveError('AGENT_CALLS_TOO_MANY');
      atOnce += 1;
    },
    weigh: (sizeBytes) => {
      totalBytes += sizeBytes;
      if (totalBytes > mostTotalBytes) throw new HiveError('AGENT_CALLS_TOO_MANY');
    },
    leave: () => {
      atOnce -= 1;
    },
  };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { ledger, models, limit }: AgentWays & { readonly limit: Limit },
): Promise<void> {
  try {
    limit.enter();
  } catch (error) {
    return refuse(response, error);
  }
  try {
    const { method = '', url = '', headers } = request;
    const isModelCall = models.takes(method, url);
    const body = await bodyOf(request, isModelCall ? mostQuestionBytes : mostBodyBytes);
    limit.weigh(body.length);
    if (isModelCall) return await models.answer({ url, headers, body: jsonOf(body) }, response);
    const answer = await answerTo({ method, url, body }, ledger);
    // Left open: the call does not come back, and keeps a process alive that has nothing else to do until it is ended.
    if (answer !== undefined) send(response, 200, answer);
  } catch (error) {
    refuse(response, error);
  } finally {
    limit.leave();
  }
}

async function bodyOf(request: IncomingMessage, mostBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > mostBytes) throw new HiveError('BODY_TOO_LARGE', `more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function refuse(response: ServerResponse, error: unknown): void {
  const known = HiveError.is(error) ? error : new HiveError('INTERNAL', error instanceof Error ? error.message : String(error));
  response.shouldKeepAlive = known.code !== 'BODY_TOO_LARGE';
  send(response, known.entry.httpStatus, errorBodyOf(known));
}

function send(response: ServerResponse, status: number, body: object): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

async function close(server: Server, place: SocketPlace): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
  place[Symbol.dispose]();
}
