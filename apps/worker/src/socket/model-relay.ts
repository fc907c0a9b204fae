import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  HiveError,
  type LeasedTicket,
  type ModelDialect,
  modelQuestionSchema,
  type WorkerId,
  type WorkerModelCall,
} from '@hivekeeper/contract';

/** What {@link ModelRelay} needs. */
export interface ModelRelayOptions {
  /** The control plane, and the worker's key to it. */
  readonly url: string;
  readonly token: string | undefined;
  readonly workerId: WorkerId;
  readonly ticket: LeasedTicket;
  /** Ends every call: the session is over. */
  readonly signal: AbortSignal;
}

/** A call as the agent makes it, its body parsed. */
export interface ModelRequest {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

const dialects: Readonly<Record<string, ModelDialect>> = {
  '/v1/chat/completions': 'chat-completions',
  '/v1/responses': 'responses',
  '/v1/embeddings': 'embeddings',
  '/v1/messages': 'messages',
};
/** Of the answer: what tells the agent how to read it, and which call it was. */
const toldHeaders = ['content-type', 'retry-after', 'x-hive-call-id', 'x-hive-model'];

/** One agent's way to the models that its manifest names. Adds the ticket's token and the worker's key, which the agent never sees. */
export class ModelRelay {
  readonly #options: ModelRelayOptions;

  constructor(options: ModelRelayOptions) {
    this.#options = options;
  }

  /** Whether a request is a call of a model. */
  takes(method: string, url: string): boolean {
    return method === 'POST' && dialectOf(url) !== undefined;
  }

  /** Answers a call as its provider does. @throws HiveError MODEL_NOT_DECLARED, INVALID_REQUEST, UNREACHABLE before anything is answered */
  async answer(request: ModelRequest, response: ServerResponse): Promise<void> {
    const { url, token, signal } = this.#options;
    const hungUp = new AbortController();
    response.once('close', () => hungUp.abort());
    const answer = await fetch(`${url.replace(/\/+$/, '')}/v1/worker/model-calls`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(this.#callOf(request)),
      redirect: 'error',
      signal: AbortSignal.any([signal, hungUp.signal]),
    }).catch((cause: unknown) => Promise.reject(new HiveError('UNREACHABLE', undefined, { cause })));
    const headers = toldHeaders.flatMap((name) => {
      const value = answer.headers.get(name);
      return value === null ? [] : [[name, value] as const];
    });
    response.writeHead(answer.status, Object.fromEntries(headers));
    // An answer that breaks off breaks off for the agent, too: its connection is destroyed, not ended. Nobody is left to be told.
    await pipeline(answer.body === null ? Readable.from([]) : Readable.fromWeb(answer.body as never), response).catch(() => undefined);
  }

  #callOf({ url, headers, body }: ModelRequest): WorkerModelCall {
    const { ticket, workerId } = this.#options;
    const question = modelQuestionSchema.safeParse(body).data;
    const dialect = dialectOf(url);
    if (question === undefined || dialect === undefined)
      throw new HiveError('INVALID_REQUEST', 'expected an object with the name of a model', {
        issues: [{ path: '/model', message: 'expected a name' }],
      });
    const { models = [], name } = ticket.agent;
    if (!models.includes(question.model)) throw new HiveError('MODEL_NOT_DECLARED', `${name} may call ${models.join(', ') || 'none'}`);
    const { 'anthropic-version': version, 'anthropic-beta': beta } = headers;
    return {
      ...{ workerId, ticketId: ticket.ticketId, token: ticket.token, runId: ticket.runId, nodeId: ticket.nodeId, dialect, question },
      headers: {
        ...(typeof version === 'string' && { 'anthropic-version': version }),
        ...(typeof beta === 'string' && { 'anthropic-beta': beta }),
      },
    };
  }
}

const dialectOf = (url: string): ModelDialect | undefined => {
  const path = url.split('?', 1)[0] ?? '';
  return Object.hasOwn(dialects, path) ? dialects[path] : undefined;
};
