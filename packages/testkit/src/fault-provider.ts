import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { JsonObject } from '@hivekeeper/contract';

/** What a provider was asked. */
export interface Asked {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: JsonObject;
}

/** How it answers. */
export type Behaviour = (response: ServerResponse, asked: Asked) => void;

/** A provider on loopback that does what a test says. */
export interface FaultProvider extends AsyncDisposable {
  readonly url: string;
  readonly asked: Asked[];
  /** Each answers one call; the last one answers all that follow. */
  plan(...behaviours: readonly Behaviour[]): void;
  /** Resolves when the connection of an answer that was not finished is gone. */
  readonly hungUp: () => Promise<void>;
}

/** Starts one. */
export async function startFaultProvider(): Promise<FaultProvider> {
  const asked: Asked[] = [];
  let behaviours: Behaviour[] = [];
  let hangUp = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    response.once('close', () => {
      if (!response.writableFinished) hangUp.resolve();
    });
    void json(request).then((body) => {
      const one = { path: request.url ?? '', headers: request.headers, body: body as JsonObject };
      asked.push(one);
      const [next] = behaviours.length > 1 ? behaviours.splice(0, 1) : behaviours;
      next?.(response, one);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    asked,
    plan: (...next) => {
      asked.length = 0;
      behaviours = [...next];
      hangUp = Promise.withResolvers();
    },
    hungUp: () => hangUp.promise,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** A whole answer. */
export const answer =
  (
    body: unknown,
    { status = 200, headers = {} }: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
  ): Behaviour =>
  (response) =>
    void response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(typeof body === 'string' ? body : JSON.stringify(body));

/** A stream: each event with its type where it has one; `end` says what follows the last. */
export const stream =
  (events: readonly (JsonObject | string)[], end: 'end' | 'cut' | 'hang' = 'end'): Behaviour =>
  (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const event of events) {
      const type = typeof event === 'object' ? event['type'] : undefined;
      response.write(
        `${typeof type === 'string' ? `event: ${type}\n` : ''}data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`,
      );
    }
    if (end === 'end') response.end();
    // The bytes go out first, then the connection breaks.
    if (end === 'cut') setImmediate(() => response.destroy());
  };

/** Takes the call and says nothing. */
export const hang: Behaviour = () => undefined;

/** One byte at a time, for ever. */
export const drip: Behaviour = (response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write('data: {"choices":[{"delta":{"content":"a"}}]}\n\n');
  const timer = setInterval(() => response.write('d'), 10);
  response.once('close', () => clearInterval(timer));
};

/** An answer of Chat Completions. */
export const completion = (
  content: string,
  usage: unknown = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
): JsonObject => ({
  ...{ id: 'c1', object: 'chat.completion', created: 1, model: 'm' },
  choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
  ...(usage !== undefined && { usage: usage as JsonObject }),
});

const chunk = (choices: readonly JsonObject[], more: JsonObject = {}): JsonObject => ({
  ...{ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm' },
  choices: [...choices],
  ...more,
});

/** The events of a stream of Chat Completions, usage included. */
export const chunks = (...texts: readonly string[]): (JsonObject | string)[] => [
  ...texts.map((content) => chunk([{ index: 0, delta: { content }, finish_reason: null }], { usage: null })),
  chunk([{ index: 0, delta: {}, finish_reason: 'stop' }], { usage: null }),
  chunk([], { usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 } }),
  '[DONE]',
];
